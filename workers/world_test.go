package workers_test

import (
	"context"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// count asks the database.
func (w *world) count(sql string, args ...any) (n int) {
	w.Helper()
	require.NoError(w, w.Pool.QueryRow(context.Background(), sql, args...).Scan(&n), sql)
	return n
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	_, err := w.Pool.Exec(context.Background(), sql, args...)
	require.NoError(w, err)
}

// eventually waits until a query counts that many.
func (w *world) eventually(n int, sql string, args ...any) {
	w.Helper()
	require.Eventually(w, func() bool { return w.count(sql, args...) == n }, soon, tick, "%d of %s", n, sql)
}

// eventuallyOver waits until so many timers have ended, well or badly.
func (w *world) eventuallyOver(n int) {
	w.Helper()
	w.eventually(n, "SELECT count(*) FROM minoots.timer_states WHERE status IN ('settled', 'failed')")
}

// requireConsistent holds the rows of all that is over against each other.
func (w *world) requireConsistent() {
	w.Helper()
	require.Zero(w, w.count(`SELECT count(*) FROM minoots.timer_states s JOIN minoots.firings f ON f.timer_id = s.id
		WHERE s.status <> CASE f.status WHEN 'running' THEN 'fired' ELSE f.status END
			OR (f.status = 'running') <> (f.settled_at IS NULL) OR (s.settled_at IS NULL) <> (f.settled_at IS NULL)`), "timers and firings")
	require.Zero(w, w.count(`SELECT count(*) FROM river.river_job WHERE state = 'running'`), "jobs left running")
	require.Zero(w, w.count(`SELECT count(*) FROM (SELECT timer_id, action_id FROM minoots.attempts
		WHERE status <> 'retrying' GROUP BY 1, 2 HAVING count(*) > 1) twice`), "an action that ended twice")
	require.Equal(w, w.count("SELECT count(*) FROM minoots.attempts"),
		w.count("SELECT count(*) FROM minoots.events WHERE type IN ('action.succeeded', 'action.failed')"), "attempts and events")
	require.Equal(w, w.count("SELECT count(*) FROM minoots.firings WHERE status IN ('settled', 'failed')"),
		w.count("SELECT count(*) FROM minoots.events WHERE type IN ('timer.settled', 'timer.failed')"), "firings and events")
}

// family reads a metric.
func (r *running) family(t testing.TB, name string) []*dto.Metric {
	t.Helper()
	families, err := r.registry.Gather()
	assert.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	t.Errorf("no metric %s", name)
	return nil
}

// counter sums a counter over its labels.
func (r *running) counter(t testing.TB, name string) (sum float64) {
	t.Helper()
	for _, m := range r.family(t, name) {
		sum += m.GetCounter().GetValue()
	}
	return sum
}

func succeeded() minoots.Outcome { return minoots.Outcome{Success: true, HTTPStatus: 200} }

func failed(class string, retryable bool) minoots.Outcome {
	return minoots.Outcome{Retryable: retryable, ErrorClass: class, Error: "it said no"}
}

// actor is an Executor that does as it is told, and keeps a list.
type actor struct {
	// do makes the attempt; nil succeeds at once.
	do func(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome

	mu     sync.Mutex
	made   []attempt
	inside int
	most   int // that were under way at once
}

// attempt is one that an actor made.
type attempt struct {
	webhookID, action string
	number            int
}

func (a *actor) Kinds() []minoots.ActionKind { return []minoots.ActionKind{minoots.KindWebhook} }

func (a *actor) Destination(d *minoots.Delivery) string { return d.Timer.Name }

func (a *actor) Execute(ctx context.Context, d minoots.Delivery, number int) (out minoots.Outcome) {
	a.mu.Lock()
	a.made = append(a.made, attempt{d.WebhookID(), d.Action.ID, number})
	a.inside++
	a.most = max(a.most, a.inside)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.inside--
		a.mu.Unlock()
	}()
	began := time.Now()
	out = succeeded()
	if a.do != nil {
		out = a.do(ctx, d, number)
	}
	out.StartedAt, out.FinishedAt = began, time.Now()
	return out
}

func (a *actor) attempts() []attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]attempt{}, a.made...)
}

func (a *actor) together() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.most
}

// eventuallyMade waits until the actor has begun that many attempts.
func (a *actor) eventuallyMade(t testing.TB, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(a.attempts()) >= n }, soon, tick, "%d attempts", n)
}
