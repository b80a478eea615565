package workers_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/workers"
)

// limit sets limits, and waits until the replicas know them.
func (w *world) limit(limits minoots.DestinationLimits, all ...*running) {
	w.Helper()
	require.NoError(w, w.api.DestinationLimit(w.Context(), tenant, "limited", limits))
	for _, k := range all {
		require.Eventually(w, func() bool {
			w.fireBy(w.named(k.Planner, "limited"), untiring())
			return k.placed(w, "held") > 0
		}, soon, 100*time.Millisecond)
	}
	w.eventually(0, "SELECT count(*) FROM river.river_job")
}

// Two replicas together keep to a rate, use it up, and hold up nobody else.
func TestLimitRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const rate, timers = 50.0, 200
	r := newReceiver(false)
	one := w.startDesk(workers.Config{Actions: r, Replica: "one"})
	two := w.startDesk(workers.Config{Actions: r, Replica: "two"})
	w.limit(minoots.DestinationLimits{RatePerSecond: ptr(rate)}, one, two)
	before, _ := r.received()
	w.fireBy(w.named(one.Planner, "limited"), many(timers/2, untiring())...)
	w.fireBy(w.named(two.Planner, "limited"), many(timers/2, untiring())...)
	w.fireBy(w.named(one.Planner, "other"), many(100, bundle(1, "a"))...)
	require.Eventually(t, func() bool {
		return w.count(`SELECT count(*) FROM minoots.attempts`) >= before+100
	}, soon, tick)
	w.eventuallyOver(before + timers + 100)
	assert.Positive(t, w.count("SELECT count(*) FROM minoots.attempts WHERE replica = 'one'"))
	assert.Positive(t, w.count("SELECT count(*) FROM minoots.attempts WHERE replica = 'two'"))

	// By the times of the attempts, as they began, of the limited destination.
	rows, err := w.Pool.Query(t.Context(), `SELECT a.started_at FROM minoots.attempts a
		JOIN minoots.firings f USING (timer_id) WHERE a.timer_id IN (SELECT id FROM minoots.timers WHERE bundle #>> '{retryPolicy,maxAttempts}' = '50')
		ORDER BY a.started_at`)
	require.NoError(t, err)
	var starts []time.Time
	for rows.Next() {
		var at time.Time
		require.NoError(t, rows.Scan(&at))
		starts = append(starts, at)
	}
	require.NoError(t, rows.Err())
	starts = starts[before:]
	require.Len(t, starts, timers)
	// The rate, and what may gather in 100 ms. An attempt may begin a while after
	// its token was taken, so the shortest windows say little.
	const window = 1500 * time.Millisecond
	for i := range starts {
		j, _ := slices.BinarySearchFunc(starts, starts[i].Add(window), time.Time.Compare)
		assert.LessOrEqual(t, float64(j-i), rate*(window.Seconds()+0.5), "attempts in %s", window)
	}
	took := starts[len(starts)-1].Sub(starts[0])
	assert.Greater(t, took.Seconds(), (timers-rate*0.1-1)/rate*0.95, "not quicker than the rate")
	assert.Less(t, took.Seconds(), timers/rate*2.5, "nor much slower")
}

// At no time are more under way than the limit says, by two replicas together.
func TestLimitConcurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const most, timers = 3, 60
	a := &actor{do: func(_ context.Context, d minoots.Delivery, number int) minoots.Outcome {
		time.Sleep(20 * time.Millisecond) // what the receiver takes for it, so that attempts overlap
		if number == 1 && d.Timer.ID[15]%8 == 0 {
			return failed("internal", true) // retries count too
		}
		return succeeded()
	}}
	// Of four slots a destination may have two: with the limit one replica is too few,
	// and without it both would have four under way.
	one := w.startDesk(workers.Config{Actions: a, Replica: "one", Concurrency: 4})
	two := w.startDesk(workers.Config{Actions: a, Replica: "two", Concurrency: 4})
	w.limit(minoots.DestinationLimits{MaxConcurrent: ptr(most)}, one, two)
	a.mu.Lock()
	before := len(a.made)
	a.most = 0
	a.mu.Unlock()
	over := w.count("SELECT count(*) FROM minoots.timer_states WHERE status IN ('settled', 'failed')")
	w.fireBy(w.named(one.Planner, "limited"), many(timers/2, untiring())...)
	w.fireBy(w.named(two.Planner, "limited"), many(timers/2, untiring())...)
	w.eventuallyOver(over + timers)
	assert.Equal(t, most, a.together())
	assert.GreaterOrEqual(t, len(a.attempts()), before+timers)
	assert.Positive(t, w.count("SELECT count(*) FROM minoots.attempts WHERE replica = 'one'"))
	assert.Positive(t, w.count("SELECT count(*) FROM minoots.attempts WHERE replica = 'two'"))

	// Without the limit all is as before.
	require.NoError(t, w.api.DestinationLimit(t.Context(), tenant, "limited", minoots.DestinationLimits{}))
	w.eventually(0, "SELECT count(*) FROM minoots.destinations")
	held := one.placed(t, "held")
	require.Eventually(t, func() bool {
		before := one.placed(t, "here")
		w.fireBy(w.named(one.Planner, "limited"), untiring())
		return one.placed(t, "here") > before
	}, soon, 100*time.Millisecond, fmt.Sprint(held))
	w.eventually(0, "SELECT count(*) FROM river.river_job")
}

func ptr[T any](v T) *T { return &v }
