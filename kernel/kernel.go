// Package kernel makes timers fire on time. It sleeps on a heap of the next due
// instants, is woken early by notifications, claims due rows and fires them in
// one transaction. What it remembers is a hint about when to look: the truth is
// in Postgres, and any number of kernels may run.
//
// Read in this order: kernel.go (the loop), pacer.go (when to wake), fire.go
// (the fire transaction), lowwater.go (where claims begin to look).
package kernel

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// Enqueuer inserts the jobs of deliveries inside the fire transaction.
type Enqueuer interface {
	Enqueue(ctx context.Context, tx db.Tx, deliveries []minoots.Delivery) error
}

// Config says how a kernel works.
type Config struct {
	DB       *db.DB
	Enqueuer Enqueuer
	// ListenURL is a direct connection for LISTEN and the seat. Empty: poll only.
	ListenURL string
	// Replica names this process in connections and logs.
	Replica string
	// PollInterval is the time between two looks for timers that no hint told
	// of: the lateness of a lost notification. Defaults to 1 s, or to 250 ms
	// without a ListenURL. Polls have a jitter of a tenth.
	PollInterval time.Duration
	// SweepInterval is the time between two looks without the low-water bound.
	// Defaults to 10 s.
	SweepInterval time.Duration
	// Batch is how many timers a fire transaction claims. Defaults to 500.
	Batch int
	// Streams is how many fire transactions may run at once in a storm.
	// Defaults to 2.
	Streams int

	Registerer prometheus.Registerer
	Log        *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.PollInterval == 0 {
		c.PollInterval = time.Second
		if c.ListenURL == "" {
			c.PollInterval = 250 * time.Millisecond
		}
	}
	if c.SweepInterval == 0 {
		c.SweepInterval = 10 * time.Second
	}
	if c.Batch == 0 {
		c.Batch = 500
	}
	if c.Streams == 0 {
		c.Streams = 2
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}

// Kernel is one replica's kernel.
type Kernel struct {
	cfg     Config
	db      *db.DB
	clock   *db.Clock
	log     *slog.Logger
	metrics *metrics

	pace     *pacer
	low      lowWater
	hints    chan hint
	seats    chan int
	lastSeat atomic.Int64
	lastRun  atomic.Int64 // microseconds since 1970 of the last successful look
}

// Status is what readiness tells of a kernel.
type Status struct {
	Listening bool      `json:"listening"`
	Seat      int       `json:"seat"` // -1 without a direct connection
	LastLook  time.Time `json:"lastLook"`
}

type hint struct {
	instants []time.Time
	more     bool
}

// New makes a kernel; Run runs it.
func New(cfg Config) (*Kernel, error) {
	cfg = cfg.withDefaults()
	if cfg.DB == nil || cfg.Enqueuer == nil {
		return nil, fmt.Errorf("kernel: DB and Enqueuer are required")
	}
	m, err := newMetrics(cfg.Registerer, cfg.DB.Clock())
	if err != nil {
		return nil, fmt.Errorf("register kernel metrics: %w", err)
	}
	k := &Kernel{
		cfg: cfg, db: cfg.DB, clock: cfg.DB.Clock(), log: cfg.Log.With("part", "kernel"), metrics: m,
		pace:  newPacer(cfg.DB.Clock(), cfg.PollInterval, cfg.SweepInterval),
		hints: make(chan hint, 64), seats: make(chan int, 8),
	}
	k.lastSeat.Store(db.NoSeat)
	return k, nil
}

// Status tells how the kernel fares.
func (k *Kernel) Status() Status {
	seat := int(k.lastSeat.Load())
	return Status{Listening: seat != db.NoSeat, Seat: seat, LastLook: time.UnixMicro(k.lastRun.Load())}
}

// Run fires timers until ctx is done. A fire transaction under way is finished
// first. It returns an error only for a fault that waiting does not mend.
func (k *Kernel) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return k.loop(ctx) })
	g.Go(func() error { return k.upkeep(ctx) })
	if k.cfg.ListenURL != "" {
		g.Go(func() error { return k.attend(ctx) })
	}
	return g.Wait()
}

// attend runs the direct connection and hands on what it hears.
func (k *Kernel) attend(ctx context.Context) error {
	s := &db.Session{
		URL: k.cfg.ListenURL, Name: k.cfg.Replica, Log: k.log,
		OnDue: func(instants []time.Time, more bool) {
			select {
			case k.hints <- hint{instants, more}:
			default: // the loop is behind; its next look finds them
			}
		},
		OnChange: func(seat int) {
			k.lastSeat.Store(int64(seat))
			k.metrics.sit(seat)
			select {
			case k.seats <- seat:
			case <-ctx.Done():
			}
		},
	}
	err := s.Run(ctx)
	if err != nil {
		// Not fatal: a kernel without a direct connection polls.
		k.log.Warn("no direct connection: polling only", "error", err)
		select {
		case k.seats <- db.NoSeat:
		case <-ctx.Done():
		}
	}
	return nil
}

// loop is the kernel's heart: sleep until the pacer's next step, take it.
// Errors of a step are logged and the step is tried again: the rows are still
// there.
func (k *Kernel) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := 0
	for {
		step, wait := k.pace.next()
		if failures > 0 {
			wait = max(wait, backoff(failures))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case h := <-k.hints:
			k.take(h)
			continue
		case seat := <-k.seats:
			k.log.Info("seat taken", "seat", seat)
			k.pace.setSeat(seat)
			continue
		case <-timer.C:
		}
		err := k.run(ctx, step)
		switch {
		case err == nil:
			failures = 0
			k.lastRun.Store(time.Now().UnixMicro())
		case ctx.Err() != nil:
			return nil
		default:
			failures++
			k.metrics.errors.WithLabelValues(step.String()).Inc()
			k.log.Warn("kernel step failed; trying again", "step", step.String(), "error", err, "failures", failures)
		}
	}
}

// backoff grows from 50 ms to 1 s: a Postgres that comes back finds its due
// timers fired within the second.
func backoff(failures int) time.Duration {
	pause := min(50*time.Millisecond<<min(failures, 5), time.Second)
	return pause/2 + rand.N(pause/2)
}

// take learns from a notification.
func (k *Kernel) take(h hint) {
	for _, at := range h.instants {
		k.pace.add(at)
		k.low.lowerTo(at)
	}
	if h.more {
		k.pace.refreshSoon()
	}
}

// run takes one step.
func (k *Kernel) run(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	switch s {
	case stepFire:
		k.pace.fired()
		return k.drain(ctx, k.low.forClaim())
	case stepBackup:
		return k.look(ctx, k.low.forClaim())
	case stepPoll:
		k.pace.polled()
		return k.look(ctx, k.low.forPoll())
	case stepSweep:
		k.pace.swept()
		return k.look(ctx, time.Time{})
	default: // stepRefresh
		return k.refresh(ctx)
	}
}

// stepTimeout is the deadline of one step. It bounds how long a connection that
// stalls without closing can hold the loop.
const stepTimeout = 10 * time.Second

// look asks what waits first, and fires if that is due: one cheap statement
// where there is mostly nothing to do.
func (k *Kernel) look(ctx context.Context, low time.Time) error {
	next, now, err := k.db.TimerNext(ctx, low)
	if err != nil {
		return fmt.Errorf("look for due timers: %w", err)
	}
	k.pace.looked(now)
	switch {
	case next.IsZero():
	case next.After(now):
		k.pace.add(next)
	default:
		k.metrics.found.Inc()
		return k.drain(ctx, next)
	}
	return nil
}

// refresh reads the window of what comes next into the heap.
func (k *Kernel) refresh(ctx context.Context) error {
	now := k.clock.Now()
	instants, err := k.db.TimerUpcoming(ctx, now, now.Add(db.LookAhead+refreshEvery), maxHeap)
	if err != nil {
		return fmt.Errorf("read upcoming timers: %w", err)
	}
	k.pace.refreshed(instants)
	k.metrics.heap.Set(float64(k.pace.len()))
	return nil
}
