package kernel_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/kernel"
)

// quiet waits until the kernel has looked at everything and sleeps, with its
// low-water mark up: a timer that was due has fired.
func (w *world) quiet() {
	w.Helper()
	before := w.fired()
	w.hint(w.create(w.in(0)))
	w.eventuallyFired(before + 1)
}

func TestPaceNotificationWakesTheKernel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.start(kernel.Config{ListenURL: w.URL, PollInterval: never, SweepInterval: never})
	k.seated(t, 0)
	w.quiet()

	lost := w.create(w.in(50 * time.Millisecond))
	w.firesNothingFor(300 * time.Millisecond) // nobody told, and nobody looks
	w.hint(lost)                              // told late
	w.eventuallyFired(2)

	told := w.create(w.in(300 * time.Millisecond))
	w.hint(told)
	w.eventuallyFired(3)
	assert.Less(t, w.lateness(told[0].Timer.ID), 250*time.Millisecond)
	w.requireEachOnceNoneEarly(3)
}

// lateness of a timer's first firing.
func (w *world) lateness(id minoots.ID) time.Duration {
	w.Helper()
	us := w.count("SELECT (extract(epoch FROM fired_at - due_at) * 1e6)::bigint FROM minoots.firings WHERE timer_id = $1", id)
	return time.Duration(us) * time.Microsecond
}

func TestPaceLostNotificationCostsAPollInterval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.start(kernel.Config{ListenURL: w.URL, PollInterval: 200 * time.Millisecond, SweepInterval: never})
	k.seated(t, 0)
	w.quiet()
	for i := range 3 {
		lost := w.create(w.in(20 * time.Millisecond))
		w.eventuallyFired(2 + i)
		assert.Less(t, w.lateness(lost[0].Timer.ID), 600*time.Millisecond)
	}
	w.requireEachOnceNoneEarly(4)
}

func TestPacePollOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		w.start(kernel.Config{PollInterval: 100 * time.Millisecond, SweepInterval: never})
	}
	w.eventuallyFired(0)
	var ids []minoots.ID
	for range 20 {
		ids = append(ids, w.create(w.in(30 * time.Millisecond))[0].Timer.ID)
	}
	w.eventuallyFired(len(ids))
	for _, id := range ids {
		assert.Less(t, w.lateness(id), 500*time.Millisecond)
	}
	w.requireEachOnceNoneEarly(len(ids))
}

// A window of timers that were there before the kernel is known without any hint.
func TestPaceRefreshFindsWhatIsComing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ahead := w.create(w.in(500*time.Millisecond), w.in(600*time.Millisecond))
	w.start(kernel.Config{PollInterval: never, SweepInterval: never})
	w.eventuallyFired(2)
	for _, c := range ahead {
		assert.Less(t, w.lateness(c.Timer.ID), 250*time.Millisecond)
	}
}

func TestPaceSweepFindsWhatIsFarBelowTheMark(t *testing.T) {
	t.Parallel()
	old := -time.Hour
	t.Run("without sweeps it stays", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.start(kernel.Config{ListenURL: w.URL, PollInterval: 10 * time.Millisecond, SweepInterval: never})
		w.quiet()
		created := w.create(w.in(old))
		w.firesNothingFor(300 * time.Millisecond)
		w.hint(created) // a hint lowers the mark
		w.eventuallyFired(2)
	})
	t.Run("a sweep finds it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.start(kernel.Config{ListenURL: w.URL, PollInterval: never, SweepInterval: 200 * time.Millisecond})
		w.quiet()
		w.create(w.in(old))
		w.eventuallyFired(2)
	})
}

// A storm that goes on for longer than a step may take is no failure, and keeps
// the loop from nothing else.
func TestPaceLongStormLeavesRoomForHints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const batches, batch = 400, 5
	e := &fakePlanner{do: func(ctx context.Context, _ []minoots.Delivery) error {
		return takes(ctx, 20*time.Millisecond)
	}}
	k := w.start(kernel.Config{ListenURL: w.URL, Planner: e, Batch: batch, Streams: 1, SweepInterval: never, StepTimeout: 500 * time.Millisecond})
	k.seated(t, 0)
	w.quiet()
	due := w.in(200 * time.Millisecond)
	specs := make([]minoots.TimerSpec, batches*batch)
	for i := range specs {
		specs[i] = acting(due, 1, "a")
	}
	w.hint(w.create(specs...))
	w.eventuallyFired(10)
	early := w.create(w.in(-time.Hour)) // below the mark of the storm
	w.hint(early)
	require.Eventually(t, func() bool {
		return w.count("SELECT count(*) FROM minoots.firings WHERE timer_id = $1", early[0].Timer.ID) == 1
	}, soon, tick)
	assert.Less(t, w.fired(), batches*batch, "before the storm was over")
	assert.Zero(t, k.metric(t, "minoots_kernel_errors_total"))
}

// Hints must not put off the repetition of a step that failed.
func TestPaceHintsDoNotPutOffARetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := &fakePlanner{do: func(context.Context, []minoots.Delivery) error { return errors.New("no") }}
	k := w.start(kernel.Config{ListenURL: w.URL, Planner: e, PollInterval: never, SweepInterval: never})
	k.seated(t, 0)
	w.hint(w.create(acting(w.in(0), 1, "a")))
	n := db.NewNotifier(w.api, silent())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	require.Eventually(t, func() bool {
		n.Hint(w.api.Clock().Now().Add(20 * time.Second)) // of others, every few milliseconds
		return e.called() >= 6
	}, soon, tick)
}
