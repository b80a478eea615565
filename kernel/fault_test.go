package kernel_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/internal/testdb"
	"github.com/minoots/minoots/kernel"
)

// behindProxy starts a kernel whose every way to Postgres can be broken, and
// waits until it has its seat.
func (w *world) behindProxy(cfg kernel.Config, seat int) (*faultproxy.Proxy, *running) {
	p := faultproxy.New(w, w.URL)
	cfg.DB, cfg.ListenURL = w.connect(p.URL(), 6), p.URL()
	k := w.start(cfg)
	k.seated(w, seat)
	return p, k
}

func TestFaultPostgresAwayAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, k := w.behindProxy(kernel.Config{}, 0)
	w.create(w.in(100*time.Millisecond), w.in(700*time.Millisecond))
	p.Down()
	require.Eventually(t, func() bool { return k.metric(t, "minoots_kernel_errors_total") >= 2 }, soon, tick)
	require.Eventually(t, func() bool { return k.Status().Seat == db.NoSeat }, soon, tick)
	assert.Equal(t, 0.0, k.metric(t, "minoots_listener_up"))
	w.create(w.in(0))
	w.firesNothingFor(300 * time.Millisecond)

	p.Set(faultproxy.Pass)
	back := w.api.Clock().Now()
	w.eventuallyFired(3)
	assert.Less(t, w.api.Clock().Now().Sub(back), 2*time.Second)
	k.seated(t, 0)
	w.requireEachOnceNoneEarly(3)
}

func TestFaultConnectionsCutInAStorm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	const timers = 1500
	due := w.in(0)
	specs := make([]minoots.TimerSpec, timers)
	for i := range specs {
		specs[i] = acting(due, 1, "a")
	}
	w.create(specs...)
	// The cuts come wherever they come: in a claim, in its jobs, in its commit.
	e := &fakePlanner{do: func(ctx context.Context, _ []minoots.Delivery) error {
		return takes(ctx, 1*time.Millisecond)
	}}
	k := w.start(kernel.Config{DB: w.connect(p.URL(), 6), Planner: e, Batch: 50})
	for n := 200; n < timers; n += 300 {
		w.eventuallyFired(n)
		p.Cut()
	}
	w.eventuallyFired(timers)
	k.stop()
	w.requireEachOnceNoneEarly(timers)
}

func TestFaultStalledConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, k := w.behindProxy(kernel.Config{StepTimeout: 200 * time.Millisecond}, 0)
	p.Set(faultproxy.Stall)
	w.create(w.in(0))
	require.Eventually(t, func() bool { return k.metric(t, "minoots_kernel_errors_total") >= 1 }, soon, tick)
	p.Set(faultproxy.Pass)
	w.eventuallyFired(1)
	w.requireEachOnceNoneEarly(1)
}

// A stall in the middle of a fire transaction, and an error of the Planner in
// it, leave a connection that cannot even be rolled back.
func TestFaultStallInsideTheFireTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	var once sync.Once
	e := &fakePlanner{do: func(context.Context, []minoots.Delivery) (err error) {
		once.Do(func() { p.Set(faultproxy.Stall); err = context.DeadlineExceeded })
		return err
	}}
	w.create(acting(w.in(0), 1, "a"))
	k := w.start(kernel.Config{DB: w.connect(p.URL(), 6), Planner: e, PollInterval: 50 * time.Millisecond, StepTimeout: 200 * time.Millisecond})
	require.Eventually(t, func() bool { return k.metric(t, "minoots_kernel_errors_total") >= 2 }, soon, tick)
	// The session that has stalled still holds the row, until the server hears of its end.
	p.Set(faultproxy.Pass)
	p.Cut()
	w.eventuallyFired(1)
	w.requireEachOnceNoneEarly(1)
}

func TestFaultCommitWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	var once sync.Once
	e := &fakePlanner{do: func(context.Context, []minoots.Delivery) error {
		once.Do(func() { p.Set(faultproxy.Mute) })
		return nil
	}}
	w.create(acting(w.in(0), 1, "a"), w.in(time.Second))
	k := w.start(kernel.Config{DB: w.connect(p.URL(), 6), Planner: e, PollInterval: 50 * time.Millisecond})
	w.eventuallyFired(1) // though the kernel does not know
	p.Cut()
	require.Eventually(t, func() bool { return k.metric(t, "minoots_kernel_errors_total") >= 1 }, soon, tick)
	p.Set(faultproxy.Pass)
	w.eventuallyFired(2)
	w.requireEachOnceNoneEarly(2)
	assert.Equal(t, 1, e.called(), "it was not fired again")
}

// A process that is paused in the middle of a fire transaction, as a machine that
// is moved may be, keeps the locks of its batch for as long as its session lives.
func TestFaultAPausedKernelHoldsUpNoTimer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	paused, resume := make(chan struct{}), make(chan struct{})
	e := &fakePlanner{do: func(context.Context, []minoots.Delivery) error { close(paused); <-resume; return nil }}
	database := testdb.Connect(t, db.Config{URL: w.URL, Name: "paused", Standstill: 300 * time.Millisecond})
	w.create(acting(w.in(0), 1, "a"))
	first := w.start(kernel.Config{DB: database, Planner: e})
	<-paused
	w.start(kernel.Config{PollInterval: 50 * time.Millisecond})
	w.eventuallyFired(1)
	close(resume)
	first.stop()
	w.requireEachOnceNoneEarly(1)
}
