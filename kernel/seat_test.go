package kernel_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/kernel"
)

// backupsOnly is a kernel that nothing but its hints and its seat wakes.
func (w *world) backupsOnly(e kernel.Planner) *running {
	return w.start(kernel.Config{ListenURL: w.URL, PollInterval: never, SweepInterval: never, Planner: e})
}

// takeOver is what a test allows for a back-up on a busy machine. Its design is
// 50 ms after the instant, and 100 ms between two looks.
const takeOver = time.Second

func TestSeatOthersTakeOverWhenTheFirstStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.backupsOnly(nil)
	first.seated(t, 0)
	for seat := 1; seat <= 2; seat++ {
		w.backupsOnly(nil).seated(t, seat)
	}
	created := w.create(w.in(600 * time.Millisecond))
	w.hint(created)
	first.stop()
	w.eventuallyFired(1)
	assert.Less(t, w.lateness(created[0].Timer.ID), takeOver)
	w.requireEachOnceNoneEarly(1)
}

func TestSeatOthersTakeOverFromOneThatHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hold := make(chan struct{})
	stuck := &fakePlanner{do: func(context.Context, []minoots.Delivery) error { <-hold; return nil }}
	first := w.backupsOnly(stuck)
	first.seated(t, 0)
	w.hint(w.create(acting(w.in(50*time.Millisecond), 1, "held")))
	require.Eventually(t, func() bool { return stuck.called() == 1 }, soon, tick)

	w.backupsOnly(nil).seated(t, 1) // only now, or it might have taken that timer too
	created := w.create(w.in(50 * time.Millisecond))
	w.hint(created)
	w.eventuallyFired(1)
	assert.Less(t, w.lateness(created[0].Timer.ID), takeOver)
	close(hold)
	w.eventuallyFired(2)
	w.requireEachOnceNoneEarly(2)
}

func TestSeatMovesDownWhenBackendsAreTerminated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.backupsOnly(nil)
	first.seated(t, 0)
	second := w.backupsOnly(nil)
	second.seated(t, 1)
	w.exec(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7702 AND objid = 0
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	// Somebody has the seat again, and nobody shares it.
	require.Eventually(t, func() bool { return first.Status().Seat+second.Status().Seat == 1 }, soon, tick)
	created := w.create(w.in(100 * time.Millisecond))
	w.hint(created)
	w.eventuallyFired(1)
	assert.Less(t, w.lateness(created[0].Timer.ID), takeOver)
}

func TestSeatListenerComesBackAndRescans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.backupsOnly(nil)
	k.seated(t, 0)
	w.quiet()
	const listeners = "FROM pg_stat_activity WHERE application_name LIKE 'minoots-listen-%' AND datname = current_database()"
	lost := w.count("SELECT pid " + listeners)
	w.exec("SELECT pg_terminate_backend($1)", lost)
	missed := w.create(w.in(0), w.in(300*time.Millisecond)) // told to nobody
	w.eventuallyFired(3)
	assert.Less(t, w.lateness(missed[1].Timer.ID), takeOver)
	require.Eventually(t, func() bool { return w.count("SELECT count(*) "+listeners+" AND pid <> $1", lost) == 1 }, soon, tick)
	k.seated(t, 0)
	w.hint(w.create(w.in(100 * time.Millisecond)))
	w.eventuallyFired(4)
	w.requireEachOnceNoneEarly(4)
	assert.Equal(t, 1.0, k.metric(t, "minoots_listener_up"))
}

// Light load costs one claim a timer, whatever the number of kernels.
func TestSeatOneKernelClaimsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 40
	kernels := []*running{w.backupsOnly(nil)}
	kernels[0].seated(t, 0)
	for seat := 1; seat <= 4; seat++ {
		k := w.backupsOnly(nil)
		k.seated(t, seat)
		kernels = append(kernels, k)
	}
	w.quiet()
	specs := make([]minoots.TimerSpec, timers)
	for i := range specs {
		specs[i] = w.in(100*time.Millisecond + time.Duration(i)*20*time.Millisecond)
	}
	w.hint(w.create(specs...))
	w.eventuallyFired(timers + 1)
	for _, k := range kernels {
		k.stop()
	}
	claims := 0.0
	for _, k := range kernels {
		claims += k.metric(t, "minoots_claims_total")
	}
	assert.Less(t, claims, 2.0*timers, "by all five")
	assert.Greater(t, kernels[0].metric(t, "minoots_timers_fired_total"), 0.7*timers, "by the first")
	w.requireEachOnceNoneEarly(timers + 1)
}

// In a storm timers stay due, so that all kernels join in.
func TestSeatStormIsShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 4000
	var kernels []*running
	for seat := range 3 {
		e := &fakePlanner{do: func(ctx context.Context, _ []minoots.Delivery) error {
			return takes(ctx, 5*time.Millisecond)
		}}
		k := w.start(kernel.Config{ListenURL: w.URL, PollInterval: never, SweepInterval: never, Planner: e, Batch: 25, Streams: 1})
		k.seated(t, seat)
		kernels = append(kernels, k)
	}
	due := w.in(300 * time.Millisecond)
	specs := make([]minoots.TimerSpec, timers)
	for i := range specs {
		specs[i] = acting(due, 1, "a")
	}
	w.hint(w.create(specs...))
	w.eventuallyFired(timers)
	w.requireEachOnceNoneEarly(timers)
	for seat, k := range kernels {
		k.stop()
		assert.Greater(t, k.metric(t, "minoots_timers_fired_total"), timers/20.0, "seat %d", seat)
	}
}
