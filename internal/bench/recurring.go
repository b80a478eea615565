package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/minoots/minoots"
)

// recurringGrace is how long after the end of the window a firing that was due in
// it is still waited for.
const recurringGrace = time.Second

// recurring is R: timers that fire every second, spread over the second, without
// actions: what is measured is the fire transaction that re-arms them. Their first
// second is not.
func recurring(ctx context.Context, l *lab) error {
	t, err := l.freshService(ctx, "r", 1)
	if err != nil {
		return err
	}
	n := l.size.recurring
	start := time.Now().Add(volleyLead + time.Duration(n)*time.Second/volleyPerSecond).Truncate(time.Second)
	second := minoots.Duration(time.Second)
	var batch []minoots.TimerSpec
	for i := range n {
		at := minoots.InstantOf(start.Add(time.Duration(i) * time.Second / time.Duration(n)))
		batch = append(batch, minoots.TimerSpec{Recurrence: &minoots.Recurrence{Every: &second, StartAt: &at}})
		if len(batch) == volleyBatch || i == n-1 {
			if err := t.createAll(ctx, batch); err != nil {
				return fmt.Errorf("create timers: %w", err)
			}
			batch = batch[:0]
		}
	}
	if time.Now().After(start) {
		return fmt.Errorf("%w: creating %d timers took too long", errSlow, n)
	}
	begin := start.Add(time.Second)
	end := begin.Add(l.size.recurringFor)
	defer l.profile(ctx, "R", t.fleet, time.Until(end))()
	if err := pause(ctx, time.Until(end.Add(recurringGrace))); err != nil {
		return err
	}
	const sql = `
SELECT json_build_object('fired', count(*), 'early', count(*) FILTER (WHERE late < 0),
    'p50', coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY late), 0),
    'p99', coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY late), 0), 'max', coalesce(max(late), 0))
FROM (SELECT (extract(epoch FROM fired_at - due_at) * 1000)::float8 AS late FROM minoots.firings
    WHERE due_at >= $1 AND due_at < $2 AND status <> 'skipped') AS f`
	got, err := one[struct {
		Fired, Early  int
		P50, P99, Max float64
	}](ctx, t.database, sql, begin, end)
	if err != nil {
		return fmt.Errorf("count the firings: %w", err)
	}
	want := n * int(l.size.recurringFor/time.Second)
	what := fmt.Sprintf("%s timers every second for %s", number(float64(n)), l.size.recurringFor)
	l.report.add("R.fired", what, float64(got.Fired), "firings")
	l.report.add("R.missed", "the same: not fired within a second of the end", float64(want-got.Fired), "firings")
	l.report.add("R.early", "the same", float64(got.Early), "firings")
	l.report.add("R.p50", "the same, due to fired", got.P50, "ms p50")
	l.report.add("R.p99", "the same, due to fired", got.P99, "ms p99")
	l.report.add("R.max", "the same, due to fired", got.Max, "ms max")
	return l.leave(t)
}
