package kernel_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/kernel"
)

func TestFireEachTimerOnceAndNoneEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers, kernels = 2000, 4
	e := &fakePlanner{}
	for range kernels {
		w.start(kernel.Config{ListenURL: w.URL, Planner: e})
	}
	begin := w.api.Clock().Now().Add(400 * time.Millisecond)
	specs := make([]minoots.TimerSpec, timers)
	for i := range specs {
		specs[i] = at(begin.Add(time.Duration(i) * 2 * time.Second / timers))
		if i%2 == 0 {
			specs[i] = acting(specs[i], 1, "a")
		}
	}
	w.hint(w.create(specs...))
	w.eventuallyFired(timers)
	w.requireEachOnceNoneEarly(timers)
	assert.Less(t, w.latest(), time.Second, "generous: two cores and everything on them")
	assert.Equal(t, timers/2, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'settled' AND settled_at = fired_at"), "without actions")
	assert.Equal(t, timers/2, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'fired' AND settled_at IS NULL"), "with")
	ids := map[string]int{}
	for _, d := range e.got() {
		ids[d.WebhookID()]++
	}
	assert.Len(t, ids, timers/2)
	assert.Len(t, e.got(), timers/2, "each delivery once")
}

func TestFireNotBeforeItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(w.in(time.Hour), w.in(700*time.Millisecond))
	w.start(kernel.Config{ListenURL: w.URL, PollInterval: 10 * time.Millisecond, SweepInterval: 20 * time.Millisecond})
	// A kernel that looks a hundred times before the instant has had its chances; the
	// database's clock says whether it took one.
	w.eventuallyFired(1)
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.firings WHERE fired_at < due_at"))
	assert.Equal(t, 1, w.fired(), "the other waits")
}

func TestFireHandsOnTheFirstActionsOfABundle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spec := acting(w.in(0), 2, "a", "b", "c")
	spec.Name, spec.RequestedBy, spec.Labels = "n", "agent:x", map[string]string{"k": "v"}
	spec.Metadata = []byte(`{"any":[1.0]}`)
	spec.AgentBinding = &minoots.AgentBinding{Adapter: "mcp", Target: "x"}
	spec.ActionBundle.Actions[1].RetryPolicy = &minoots.RetryPolicy{MaxAttempts: 9}
	created := w.create(spec, acting(w.in(0), 5, "only"), w.in(0))
	e := &fakePlanner{}
	w.start(kernel.Config{Planner: e})
	w.eventuallyFired(3)
	got := map[string]minoots.Delivery{}
	for _, d := range e.got() {
		got[d.Action.ID] = d
	}
	require.Len(t, got, 3, "a and b: c waits for one of them to end")
	a := got["a"]
	assert.Equal(t, minoots.DeliveryTimer{
		ID: created[0].Timer.ID, Name: "n", RequestedBy: "agent:x", Labels: spec.Labels, Metadata: []byte(spec.Metadata),
	}, a.Timer, "1.0 is not 1")
	assert.Equal(t, tenant, a.TenantID)
	assert.Equal(t, 1, a.Occurrence)
	assert.True(t, created[0].DueAt.Equal(a.DueAt.Time))
	assert.False(t, a.FiredAt.Before(a.DueAt.Time))
	assert.Equal(t, minoots.DefaultRetryPolicy, a.Policy)
	assert.Equal(t, 9, got["b"].Policy.MaxAttempts)
	assert.Equal(t, spec.AgentBinding, a.AgentBinding)
	assert.False(t, a.Alone)
	assert.True(t, got["only"].Alone)
	assert.Equal(t, 2, w.count("SELECT started FROM minoots.firings WHERE timer_id = $1", created[0].Timer.ID))
}

func TestFireRollsBackAsAWholeAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var failures atomic.Int64
	hold := make(chan struct{})
	e := &fakePlanner{do: func(ctx context.Context, d []minoots.Delivery) error {
		if failures.Add(1) <= 3 {
			return errors.New("no")
		}
		<-hold
		return nil
	}}
	w.create(acting(w.in(0), 1, "a"), w.in(0))
	// Neither poll nor sweep will come: only the failed step itself is repeated.
	k := w.start(kernel.Config{Planner: e, PollInterval: never, SweepInterval: never})
	require.Eventually(t, func() bool { return failures.Load() == 4 }, soon, tick)
	assert.Zero(t, w.fired())
	assert.Equal(t, 2, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'scheduled' AND occurrence = 0 AND version = 1"))
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.events WHERE type <> 'timer.scheduled'"))
	close(hold)
	w.eventuallyFired(2)
	w.requireEachOnceNoneEarly(2)
	assert.Len(t, e.got(), 1)
	assert.Equal(t, 3.0, k.metric(t, "minoots_kernel_errors_total"))
}

func TestFireStormJoinsStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers, streams = 5000, 3
	due := w.in(0)
	specs := make([]minoots.TimerSpec, timers)
	for i := range specs {
		specs[i] = acting(due, 1, "a")
	}
	w.create(specs...)
	// A moment in the transaction makes the streams overlap on any machine.
	e := &fakePlanner{do: func(ctx context.Context, _ []minoots.Delivery) error {
		return takes(ctx, 50*time.Millisecond)
	}}
	k := w.start(kernel.Config{Planner: e, Batch: 100, Streams: streams})
	w.eventuallyFired(timers)
	w.requireEachOnceNoneEarly(timers)
	k.stop()
	assert.GreaterOrEqual(t, e.together(), streams, "all streams")
	assert.LessOrEqual(t, e.together(), streams+1, "and the loop")
	assert.Equal(t, float64(timers), k.metric(t, "minoots_timers_fired_total"))
}

func TestFireLightLoadUsesOneStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	specs := make([]minoots.TimerSpec, 200)
	for i := range specs {
		specs[i] = acting(w.in(100*time.Millisecond+time.Duration(i)*2*time.Millisecond), 1, "a")
	}
	w.create(specs...)
	e := &fakePlanner{}
	w.start(kernel.Config{Planner: e, Streams: 3})
	w.eventuallyFired(len(specs))
	assert.Equal(t, 1, e.together())
}

// A herd is a backlog of its own: what comes due after it is fired while it is
// still being drained.
func TestFireHerdDoesNotDelayWhatComesDueNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const herd, batch = 4000, 20
	e := &fakePlanner{do: func(ctx context.Context, _ []minoots.Delivery) error { return takes(ctx, 20*time.Millisecond) }}
	k := w.start(kernel.Config{ListenURL: w.URL, Planner: e, Batch: batch, Streams: 1})
	k.seated(t, 0)
	due := w.in(300 * time.Millisecond)
	specs := make([]minoots.TimerSpec, herd)
	for i := range specs {
		specs[i] = acting(due, 1, "a")
	}
	w.hint(w.create(specs...))
	w.eventuallyFired(2 * batch)
	next := w.create(w.in(300 * time.Millisecond))
	w.hint(next)
	require.Eventually(t, func() bool {
		return w.count("SELECT count(*) FROM minoots.firings WHERE timer_id = $1", next[0].Timer.ID) == 1
	}, soon, tick)
	assert.Less(t, w.fired(), herd, "the herd is not over")
	assert.Less(t, w.count(`SELECT (extract(epoch FROM fired_at - due_at) * 1000)::int FROM minoots.firings WHERE timer_id = $1`, next[0].Timer.ID), 200)
}
