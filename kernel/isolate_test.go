package kernel_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/kernel"
	"github.com/minoots/minoots/workers"
	"github.com/minoots/minoots/workers/action"
)

// unstorable passes for json, which timers are kept as, but not for jsonb, which
// River's jobs are: numeric has no room for it.
const unstorable = `{"x": 1e-200000}`

func TestIsolateATimerOfWhichNoJobCanBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 300
	specs := make([]minoots.TimerSpec, timers)
	for i := range specs {
		specs[i] = acting(w.in(time.Duration(i)*time.Microsecond), 1, "a")
	}
	specs[137].Metadata = []byte(unstorable)
	specs[250].Metadata = []byte(unstorable)
	created := w.create(specs...)
	w.exec(`UPDATE minoots.timers SET labels = '{"not": ["text"]}' WHERE id = $1`, created[10].Timer.ID)
	planner := workers.NewPlanner(action.NewRegistry(action.Config{}))
	k := w.start(kernel.Config{Planner: planner, Batch: 100})

	w.eventuallyFired(timers)
	w.requireEachOnceNoneEarly(timers)
	assert.Equal(t, timers-3, w.count("SELECT count(*) FROM river.river_job"), "the others are not held up")
	assert.Equal(t, 3.0, k.metric(t, "minoots_timers_refused_total"))
	for _, i := range []int{10, 137, 250} {
		assert.Equal(t, 1, w.count(`SELECT count(*) FROM minoots.timer_states
			WHERE id = $1 AND status = 'failed' AND settled_at IS NOT NULL AND failure_reason LIKE '%cannot be stored%'`, created[i].Timer.ID))
	}
	assert.Equal(t, 3, w.count("SELECT count(*) FROM minoots.firings WHERE status = 'failed' AND reason IS NOT NULL AND settled_at IS NOT NULL"))
	assert.Equal(t, 3, w.count("SELECT count(*) FROM minoots.events WHERE type = 'timer.failed'"))
	assert.Equal(t, timers-3, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'fired'"))
}

// A fault that is not the timer's own must fail no timer, however long it lasts.
func TestIsolateFailsNoTimerForAFaultOfTheService(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{
		"internal":    errors.New("column does not exist"),
		"unavailable": &minoots.Error{Code: minoots.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e := &fakePlanner{do: func(context.Context, []minoots.Delivery) error { return fault }}
			w.create(acting(w.in(0), 1, "a"))
			k := w.start(kernel.Config{Planner: e, PollInterval: tick})
			require.Eventually(t, func() bool { return e.called() >= 4 }, soon, tick)
			k.stop()
			assert.Zero(t, w.fired())
			assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'scheduled'"))
			assert.Zero(t, k.metric(t, "minoots_timers_refused_total"))
		})
	}
}
