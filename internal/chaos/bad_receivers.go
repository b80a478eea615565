package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/rig"
)

const (
	badTimers = 20 // of each case that succeeds
	// failingTimers is of each other: two attempts of each are fewer failures in a
	// row than open a breaker, which the bench's B is about.
	failingTimers = 2
	badTimeout    = 1500 * time.Millisecond // of each attempt
	badBackoff    = 200 * time.Millisecond
	badRetry      = 2 * time.Second // what 429 asks for
	// badSlack is what an attempt may take beyond its timeout, and a retry beyond
	// its delay: River's poll of a second, and a machine with other things to do.
	badSlack = 1500 * time.Millisecond
	// badMemory is how much a replica may grow by: what the connections of all
	// cases take, and nowhere near what the floods send.
	badMemory = 150 << 20
)

// badReceivers has timers call receivers that behave badly, beside the usual
// load, and holds each attempt to the table in docs/actions.md.
func badReceivers(ctx context.Context, w *world) error {
	cases, err := w.openBad()
	if err != nil {
		return err
	}
	if err := w.begin(ctx, kind{}, slowness{}); err != nil {
		return err
	}
	before := w.memory(ctx)
	due := time.Now().Add(4 * time.Second) // their creation takes a while
	for _, c := range cases {
		for i := range c.timers() {
			if err := w.createBad(ctx, c, i, due); err != nil {
				return err
			}
		}
	}
	grown := int64(0)
	for time.Now().Before(w.load.end) {
		grown = max(grown, w.memory(ctx)-before)
		if err := rig.Pause(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
	t, err := w.settle(ctx)
	if err != nil {
		return err
	}
	w.row.note("a replica's memory grew by %d MB; the load beside: p50/p99 %s/%s", grown>>20, t.percentile(50), t.percentile(99))
	w.row.must(grown <= badMemory, "a replica's memory grew by %d MB", grown>>20)
	w.row.must(w.row.Repeated == 0, "%d of the good deliveries repeated", w.row.Repeated)
	for _, c := range cases {
		if err := w.mustBehave(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) createBad(ctx context.Context, c badCase, i int, due time.Time) error {
	name := fmt.Sprintf("bad-%s-%d", c.name, i)
	spec := specOf(name, due, c.url, []string{"wake"})
	spec.RequestedBy = "chaos-receiver"
	parameters, err := json.Marshal(map[string]any{"url": c.url, "timeoutMs": badTimeout.Milliseconds()})
	if err != nil {
		return err
	}
	spec.ActionBundle.Actions[0].Parameters = parameters
	spec.ActionBundle.RetryPolicy = &minoots.RetryPolicy{
		MaxAttempts: 2, BackoffInitialMs: badBackoff.Milliseconds(), BackoffMultiplier: 1, BackoffMaxMs: 10_000,
	}
	body, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	apis := w.apis()
	if _, failure := w.caller.create(ctx, apis[i%len(apis)], name, body); failure != "" {
		return fmt.Errorf("create %s: %s", name, failure)
	}
	return nil
}

// memory is the largest resident size of any replica.
func (w *world) memory(ctx context.Context) int64 {
	largest := 0.0
	for _, m := range w.live() {
		if v, err := m.Metric(ctx, "process_resident_memory_bytes"); err == nil {
			largest = max(largest, v)
		}
	}
	return int64(largest)
}

// tried is one attempt on record.
type tried struct {
	Name, Class, Status string
	Attempt             int
	Started, Finished   time.Time
}

// mustBehave holds the record of a case's timers to what is expected of it.
func (w *world) mustBehave(ctx context.Context, c badCase) error {
	rows, err := w.db.pool.Query(ctx, `
		SELECT t.name, coalesce(a.error_class, '') AS class, a.status::text AS status, a.attempt, a.started_at AS started, a.finished_at AS finished
		FROM minoots.attempts a JOIN minoots.timers t ON t.id = a.timer_id
		WHERE t.name LIKE 'bad-' || $1 || '-%' ORDER BY t.name, a.attempt`, c.name)
	if err != nil {
		return fmt.Errorf("read attempts: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[tried])
	if err != nil {
		return fmt.Errorf("read attempts: %w", err)
	}
	w.row.must(len(all) == c.timers()*len(c.want), "%s: %d attempts of %d timers, not %d each", c.name, len(all), c.timers(), len(c.want))
	for i, a := range all {
		if a.Attempt > len(c.want) {
			continue
		}
		want := c.want[a.Attempt-1]
		got := a.Status + " " + a.Class
		if got != want {
			w.row.must(false, "%s: attempt %d %s, not %s", c.name, a.Attempt, got, want)
			break
		}
		if took := a.Finished.Sub(a.Started); took > badTimeout+badSlack {
			w.row.must(false, "%s: an attempt took %s", c.name, took.Round(time.Millisecond))
			break
		}
		if a.Attempt == 1 {
			continue
		}
		wait := a.Started.Sub(all[i-1].Finished)
		if wait < c.wait || wait > c.wait+badBackoff+badSlack {
			w.row.must(false, "%s: the second attempt came after %s", c.name, wait.Round(time.Millisecond))
			break
		}
	}
	n, err := one[int](ctx, w.db, `SELECT count(*) FROM minoots.timer_states s JOIN minoots.timers t USING (id)
		WHERE t.name LIKE 'bad-' || $1 || '-%' AND s.status IN ('settled', 'failed')`, c.name)
	w.row.must(n == c.timers(), "%s: %d of %d timers came to an end", c.name, n, c.timers())
	w.row.must(!slices.Contains(c.reached(), "elsewhere"), "%s: the redirect was followed", c.name)
	return err
}
