package kernel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/kernel"
	"github.com/minoots/minoots/workers"
	"github.com/minoots/minoots/workers/action"
)

// everySecond is a recurring timer that begins at an instant.
func everySecond(start time.Time) minoots.TimerSpec {
	second, at := minoots.Duration(time.Second), minoots.InstantOf(start)
	return minoots.TimerSpec{Recurrence: &minoots.Recurrence{Every: &second, StartAt: &at}}
}

// Timers of every second fire once a second, whoever claims them, and their
// kernel knows of the next instant without looking for it.
func TestRecurringTimersFireOnTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers, rounds = 100, 5
	e := &fakePlanner{}
	// No poll and no sweep: what is re-armed must be in the heap.
	first := w.start(kernel.Config{ListenURL: w.URL, Planner: e, PollInterval: never, SweepInterval: never})
	first.seated(t, 0)
	second := w.start(kernel.Config{ListenURL: w.URL, Planner: e, PollInterval: never, SweepInterval: never})
	second.seated(t, 1)
	start := w.api.Clock().Now().Add(500 * time.Millisecond)
	specs := make([]minoots.TimerSpec, timers)
	for i := range specs {
		specs[i] = everySecond(start.Add(time.Duration(i) * time.Second / timers))
		if i%2 == 0 {
			specs[i] = acting(specs[i], 1, "a")
		}
	}
	w.hint(w.create(specs...))
	w.eventuallyFired(timers * rounds)
	first.stop()
	second.stop()
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.firings WHERE fired_at < due_at"), "early")
	assert.Zero(t, w.count(`SELECT count(*) FROM (SELECT due_at - lag(due_at) OVER (PARTITION BY timer_id ORDER BY occurrence) AS gap
		FROM minoots.firings) f WHERE gap <> interval '1 second'`), "a second apart")
	assert.Zero(t, w.count(`SELECT count(*) FROM (SELECT count(*), count(DISTINCT occurrence) AS numbers, max(occurrence) AS last
		FROM minoots.firings GROUP BY timer_id) f WHERE count <> numbers OR count <> last`), "each occurrence once")
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.timer_states WHERE status <> 'scheduled'"))
	assert.Less(t, w.latest(), time.Second, "generous: two cores and everything on them")
	for _, d := range e.got() {
		require.True(t, d.Recurring)
	}
}

// A kernel with a higher seat that has claimed a recurring timer tells seat 0, which
// did not know of it, and from then on claims it; so it is on time also when the
// other is gone.
func TestRecurringTimerClaimedByAHigherSeatIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.backupsOnly(nil)
	first.seated(t, 0)
	w.quiet() // seat 0 has looked at what comes next, and does so again in 15 s only
	already := w.count("SELECT count(*) FROM minoots.firings")
	start := w.api.Clock().Now().Add(2 * time.Second)
	id := w.create(everySecond(start))[0].Timer.ID // told to nobody
	second := w.backupsOnly(nil)
	second.seated(t, 1) // it reads what comes next
	w.eventuallyFired(already + 1)
	require.Eventually(t, func() bool { return first.metric(t, "minoots_timers_fired_total") >= float64(already+2) }, soon, tick,
		"seat 0 fires it")
	second.stop()
	was := w.count("SELECT max(occurrence) FROM minoots.firings WHERE timer_id = $1", id)
	w.eventuallyFired(already + was + 2)
	assert.GreaterOrEqual(t, first.metric(t, "minoots_timers_fired_total"), float64(already+3))
	assert.Less(t, w.latest(), takeOver)
}

// One of whose actions no jobs can be made fails each time, and goes on.
func TestRecurringTimerThatIsRefusedGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := acting(everySecond(w.api.Clock().Now().Add(200*time.Millisecond)), 1, "bad")
	bad.Metadata = []byte(unstorable)
	created := w.create(bad, everySecond(w.api.Clock().Now().Add(200*time.Millisecond)))
	w.start(kernel.Config{Planner: workers.NewPlanner(action.NewRegistry(action.Config{})), PollInterval: 50 * time.Millisecond})
	id := created[0].Timer.ID
	require.Eventually(t, func() bool {
		return w.count("SELECT count(*) FROM minoots.firings WHERE timer_id = $1 AND status = 'failed' AND reason IS NOT NULL", id) >= 2
	}, soon, tick)
	assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.timer_states WHERE id = $1 AND status = 'scheduled'", id))
	assert.GreaterOrEqual(t, w.count("SELECT count(*) FROM minoots.firings WHERE timer_id = $1 AND status = 'settled'", created[1].Timer.ID), 1)
}
