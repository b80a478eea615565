package chaos

import (
	"context"
	"fmt"
)

// judgeWords holds what agents were told to what the database says.
func (s *soak) judgeWords(ctx context.Context) error {
	s.agents.close()
	timers, occurrences, actions, attempts, oks := []string{}, []int32{}, []string{}, []int32{}, []bool{}
	for _, w := range s.agents.words {
		timers, occurrences, actions = append(timers, w.timer), append(occurrences, int32(w.occurrence)), append(actions, fmt.Sprint(w.action))
		attempts, oks = append(attempts, int32(w.attempt)), append(oks, w.ok)
	}
	// An attempt that counts is on record, and none is made after it.
	var lost, after int
	err := s.db.pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE NOT EXISTS (
				SELECT FROM minoots.attempts a
				WHERE (a.timer_id, a.occurrence, a.action_id, a.attempt) = (w.timer, w.occurrence, w.action, w.attempt)
					AND a.status = CASE WHEN w.ok THEN 'succeeded' ELSE 'failed' END)),
			count(*) FILTER (WHERE EXISTS (
				SELECT FROM minoots.attempts a
				WHERE (a.timer_id, a.occurrence, a.action_id) = (w.timer, w.occurrence, w.action) AND a.attempt > w.attempt))
		FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::bool[]) AS w (timer, occurrence, action, attempt, ok)`,
		timers, occurrences, actions, attempts, oks).Scan(&lost, &after)
	if err != nil {
		return fmt.Errorf("look for acknowledgements: %w", err)
	}
	s.row.must(lost == 0, "%d acknowledgements that were taken are not on record", lost)
	s.row.must(after == 0, "%d actions were tried again after they had been acknowledged", after)
	s.row.note("%d words of agents were taken, and %d came too late", len(s.agents.words), s.agents.late)
	for what, sql := range map[string]string{
		"acknowledgements were taken past their deadline": `status = 'acknowledged' AND acknowledged_at > expires_at`,
		"acknowledgements still wait past their deadline": `status = 'waiting' AND expires_at < now()`,
	} {
		n, err := one[int](ctx, s.db, "SELECT count(*) FROM minoots.acknowledgements WHERE "+sql)
		if err != nil {
			return fmt.Errorf("look for %s: %w", what, err)
		}
		s.row.must(n == 0, "%d %s", n, what)
	}
	// An attempt that timed out had its time.
	hasty, err := one[int](ctx, s.db, `SELECT count(*) FROM minoots.acknowledgements k
		JOIN minoots.attempts a ON a.timer_id = k.timer_id AND a.occurrence = k.occurrence AND a.action_id = k.action_id AND a.attempt = k.attempt
		WHERE k.status = 'expired' AND a.finished_at < k.expires_at`)
	if err != nil {
		return fmt.Errorf("look for acknowledgements that expired: %w", err)
	}
	s.row.must(hasty == 0, "%d acknowledgements expired before their deadline", hasty)
	return nil
}
