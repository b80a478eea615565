package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// What the database knows. These statements are the harness's: they look at the
// service's tables from outside.

// underWay gives the firings, as in their webhook-ids, whose actions a replica is executing, as far as the
// database answers.
func (w *world) underWay(ctx context.Context, replica string) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	ids := map[string]bool{}
	rows, err := w.db.pool.Query(ctx, `
		SELECT DISTINCT (args -> 'timer' ->> 'id') || '_' || (args ->> 'occurrence') FROM river.river_job
		WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = $1`, replica)
	if err == nil {
		var id string
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
			ids[id] = true
			return nil
		})
	}
	if err != nil {
		w.say("what %s had under way is not known: %v", replica, err)
	}
	return ids
}

// unsettled counts the timers of the load whose outcome is not on record.
func (w *world) unsettled(ctx context.Context) (int, error) {
	return one[int](ctx, w.db, `SELECT count(*) FROM minoots.timer_states
		WHERE tenant_id = $1 AND status IN ('scheduled', 'fired') AND fire_at <= $2`, tenant, w.load.end)
}

// whereabouts says of timers that did not arrive, or are not settled, where they
// are: "running on a killed replica" and so on, with how many.
func (w *world) whereabouts(ctx context.Context, lost []string) (map[string]int, error) {
	dead := []string{}
	for _, d := range w.deaths {
		dead = append(dead, d.replica)
	}
	rows, err := w.db.pool.Query(ctx, `
		WITH open AS (
			SELECT id, status::text FROM minoots.timer_states
			WHERE tenant_id = $1 AND status IN ('scheduled', 'fired') AND fire_at <= $2
			UNION
			SELECT given.id, coalesce(s.status::text, 'gone') FROM unnest($3::uuid[]) AS given (id)
			LEFT JOIN minoots.timer_states s USING (id)
		), job AS (
			SELECT (args -> 'timer' ->> 'id')::uuid AS id, state::text, attempted_by[array_upper(attempted_by, 1)] = ANY ($4) AS dead
			FROM river.river_job
		)
		SELECT CASE
			WHEN open.status = 'gone' THEN 'not in the database'
			WHEN open.status = 'scheduled' THEN 'not fired'
			WHEN open.status = 'settled' THEN 'settled, and never delivered'
			WHEN job.id IS NULL THEN 'fired, without a job'
			WHEN job.state = 'running' AND job.dead THEN '`+onDead+`'
			WHEN job.state = 'running' THEN 'running on a live replica'
			ELSE 'job ' || job.state
		END, count(DISTINCT open.id)
		FROM open LEFT JOIN job USING (id) GROUP BY 1`, tenant, w.load.end, lost, dead)
	if err != nil {
		return nil, fmt.Errorf("look for what is missing: %w", err)
	}
	found := map[string]int{}
	var where string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&where, &n}, func() error {
		found[where] = n
		return nil
	})
	return found, err
}

// onDead is what was in flight on a process that is gone: the reaper's work.
const onDead = "in flight on a killed replica"

// doubles counts what must not be there: two timers of one idempotency key, two
// firings of one occurrence, two successes of one action.
func (w *world) doubles(ctx context.Context) error {
	for what, sql := range map[string]string{
		"timers of one Idempotency-Key": `SELECT name FROM minoots.timers WHERE requested_by = 'chaos' GROUP BY 1 HAVING count(*) > 1`,
		"firings of one occurrence":     `SELECT timer_id FROM minoots.firings GROUP BY timer_id, occurrence HAVING count(*) > 1`,
		"firings of a one-shot timer": `SELECT timer_id FROM minoots.firings JOIN minoots.timers t ON t.id = timer_id
			WHERE t.recurrence IS NULL GROUP BY timer_id HAVING count(*) > 1`,
		"firings of one instant": `SELECT timer_id FROM minoots.firings GROUP BY timer_id, due_at HAVING count(*) > 1`,
		"successes of one action": `SELECT timer_id FROM minoots.attempts WHERE status = 'succeeded'
			GROUP BY timer_id, occurrence, action_id HAVING count(*) > 1`,
	} {
		n, err := one[int](ctx, w.db, "SELECT count(*) FROM ("+sql+") AS doubles")
		if err != nil {
			return fmt.Errorf("look for doubles: %w", err)
		}
		w.row.must(n == 0, "%d times two %s", n, what)
	}
	return nil
}

// fireLateness is the greatest of all firings, each counted from its due instant
// or from another one, if that was later.
func (w *world) fireLateness(ctx context.Context, from time.Time) (time.Duration, error) {
	us, err := one[int64](ctx, w.db, `SELECT coalesce(max(extract(epoch FROM fired_at - greatest(due_at, $1)) * 1000000), 0)::bigint
		FROM minoots.firings`, from)
	return time.Duration(us) * time.Microsecond, err
}
