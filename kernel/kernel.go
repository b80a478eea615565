// Package kernel makes timers fire on time. It sleeps on a heap of the next due
// instants, is woken early by notifications, claims due rows and fires them in
// one transaction. What it remembers is a hint about when to look: the truth is
// in Postgres, and any number of kernels may run.
//
// Read in this order: kernel.go (the loop), pacer.go (when to wake), fire.go
// (the fire transaction), backlog.go (a herd), lowwater.go (where claims begin to
// look), sweep.go (what lies below), inbox.go (what the direct connection tells),
// reaper.go (the jobs of dead processes), retention.go (what goes).
package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// Kernel is one replica's kernel.
type Kernel struct {
	cfg       Config
	db        *db.DB
	clock     *db.Clock
	log       *slog.Logger
	metrics   *metrics
	retention *retentionMetrics

	pace     *pacer
	low      lowWater
	backlog  backlog
	in       *inbox
	others   *db.Notifier // tells them what is due again
	seat     atomic.Int64
	moved    chan struct{} // has a token when the kernel has another seat
	lastStep atomic.Int64  // microseconds since 1970 of the last that succeeded
}

// Status is what readiness tells of a kernel.
type Status struct {
	Listening bool      `json:"listening"`
	Seat      int       `json:"seat"`     // -1 without a direct connection
	LastLook  time.Time `json:"lastLook"` // zero before the first
}

// New makes a kernel; Run runs it.
func New(cfg Config) (*Kernel, error) {
	cfg = cfg.withDefaults()
	if cfg.DB == nil || cfg.Planner == nil {
		return nil, errors.New("kernel: DB and Planner are required")
	}
	m, err := newMetrics(cfg.Registerer, cfg.DB.Clock())
	if err != nil {
		return nil, fmt.Errorf("register kernel metrics: %w", err)
	}
	r, err := newRetentionMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register retention metrics: %w", err)
	}
	k := &Kernel{
		cfg: cfg, db: cfg.DB, clock: cfg.DB.Clock(), log: cfg.Log.With("part", "kernel"), metrics: m, retention: r,
		pace: newPacer(cfg.DB.Clock(), cfg.PollInterval), in: newInbox(), moved: make(chan struct{}, 1),
	}
	k.others = db.NewNotifier(cfg.DB, k.log)
	k.seat.Store(db.NoSeat)
	return k, nil
}

// Status tells how the kernel fares.
func (k *Kernel) Status() Status {
	s := Status{Seat: int(k.seat.Load())}
	s.Listening = s.Seat != db.NoSeat
	if at := k.lastStep.Load(); at != 0 {
		s.LastLook = time.UnixMicro(at)
	}
	return s
}

// Run fires timers until ctx is done, and returns when it has finished the fire
// transaction under way, within two seconds. It returns no error: whatever goes
// wrong is logged and tried again, because the timers are still there.
func (k *Kernel) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer k.backlog.wait()
		return k.loop(ctx)
	})
	g.Go(func() error { return k.sweeper(ctx) })
	g.Go(func() error { return k.upkeep(ctx) })
	g.Go(func() error { return k.retain(ctx) })
	g.Go(func() error { return k.reaper(ctx) })
	if k.cfg.ListenURL != "" {
		g.Go(func() error { return k.attend(ctx) })
		g.Go(func() error { return k.others.Run(ctx) }) // without a seat it has nothing to say
	}
	return g.Wait()
}

// attend runs the direct connection and hands on what it hears.
func (k *Kernel) attend(ctx context.Context) error {
	s := &db.Session{
		URL: k.cfg.ListenURL, Name: k.cfg.Replica, Log: k.log, OnDue: k.in.due, OnChange: k.sit, Ear: k.cfg.Ear,
	}
	if err := s.Run(ctx); err != nil {
		// Not fatal: a kernel without a direct connection polls.
		k.log.Warn("no direct connection: polling only", "error", err)
		k.sit(db.NoSeat)
	}
	return nil
}

// sit notes the seat and tells the loop.
func (k *Kernel) sit(seat int) {
	k.metrics.sit(seat)
	if was := k.seat.Swap(int64(seat)); was != int64(seat) {
		k.log.Info("kernel seat", "seat", seat, "before", was)
		k.in.sit(seat)
		select {
		case k.moved <- struct{}{}:
		default:
		}
	}
}

// loop is the kernel's heart: sleep until the pacer's next step, take it. A step
// that fails is logged and taken again, after a pause.
func (k *Kernel) loop(ctx context.Context) error {
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	failures, resume := 0, time.Time{}
	for ctx.Err() == nil {
		step, wait := k.pace.next()
		alarm.Reset(max(wait, time.Until(resume)))
		select {
		case <-ctx.Done():
			return nil
		case <-k.in.filled:
			k.learn(k.in.take())
			continue
		case <-alarm.C:
		}
		err := k.run(ctx, step)
		switch {
		case err == nil:
			failures = 0
			k.lastStep.Store(time.Now().UnixMicro())
		case ctx.Err() != nil: // cut by it
		default:
			failures++
			resume = time.Now().Add(backoff(failures))
			k.pace.failed(step)
			if minoots.ErrorCode(err) == minoots.CodeUnavailable {
				k.db.Reset() // else each dead connection of the pool costs a failure
			}
			k.metrics.errors.WithLabelValues(step.String()).Inc()
			k.log.Warn("kernel step failed; trying again", "step", step.String(), "error", err, "failures", failures)
		}
	}
	return nil
}

// backoff grows from 50 ms to 1 s: a Postgres that comes back finds its due
// timers fired within the second.
func backoff(failures int) time.Duration {
	pause := min(25*time.Millisecond<<min(failures, 6), time.Second)
	return pause/2 + rand.N(pause/2)
}

// learn takes in what the direct connection told.
func (k *Kernel) learn(n news) {
	if n.moved {
		k.pace.setSeat(n.seat)
	}
	for _, at := range n.instants {
		k.pace.add(at)
		k.low.lowerTo(at)
		k.backlog.hinted(at)
	}
	if n.more {
		k.pace.refreshSoon()
	}
}

// run takes one step.
func (k *Kernel) run(ctx context.Context, s step) error {
	switch s {
	case stepFire:
		return k.fireDue(ctx)
	case stepBackup:
		return k.look(ctx, k.low.forClaim())
	case stepPoll:
		k.pace.polled()
		return k.look(ctx, k.low.forPoll())
	default: // stepRefresh
		return k.refresh(ctx)
	}
}

// fireDue claims because an instant has come. If that finds nothing, the timer
// was cancelled, or another has it, or the clock's estimate woke us too early:
// a look tells, and sets the clock.
func (k *Kernel) fireDue(ctx context.Context) error {
	k.pace.fires()
	until, err := k.drain(ctx, k.low.forClaim())
	if err != nil {
		return err
	}
	if until.IsZero() {
		return k.look(ctx, k.low.forClaim())
	}
	k.pace.fired(until)
	return nil
}

// look asks what waits first, and fires if that is due: one cheap statement
// where there is mostly nothing to do.
func (k *Kernel) look(ctx context.Context, low time.Time) error {
	step, cancel := context.WithTimeout(ctx, k.cfg.StepTimeout)
	defer cancel()
	from := k.backlog.from(low)
	next, now, err := k.db.TimerNext(step, from)
	if err != nil {
		return fmt.Errorf("look for due timers: %w", err)
	}
	k.pace.looked(now)
	if !next.IsZero() && !next.After(now) {
		k.metrics.found.Inc()
		_, err = k.drain(ctx, next)
		return err
	}
	if from.Equal(low) {
		k.low.raiseTo(now)
	}
	if !next.IsZero() {
		k.pace.add(next)
	}
	return nil
}

// refresh reads the window of what comes next into the heap.
func (k *Kernel) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.StepTimeout)
	defer cancel()
	now := k.clock.Now()
	window, err := k.db.TimerUpcoming(ctx, now, now.Add(db.LookAhead+refreshEvery), maxHeap)
	if err != nil {
		return fmt.Errorf("read upcoming timers: %w", err)
	}
	k.pace.refreshed(now, window)
	k.metrics.heap.Set(float64(k.pace.len()))
	return nil
}

// finishTimeout is how long a fire transaction under way may go on after Run's
// ctx is done: cut, all of it would be done again by another.
const finishTimeout = 2 * time.Second

// finishing gives the context of a fire transaction.
func (k *Kernel) finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.cfg.StepTimeout)
	forget := context.AfterFunc(ctx, func() { time.AfterFunc(finishTimeout, cancel) })
	return step, func() { forget(); cancel() }
}
