// Package reader reads the lifecycle log for all tenants: one replica at a time,
// page after page, in order, and none passed over.
//
//	reader.go   who reads: a lease in Postgres, and what follows from a failure
//	lead.go     the loop of the one that has the lease
//	switch.go   whether there is anything to do
//	metrics.go  what operators see
//
// What is done with a page is the Work's: to publish it, or to make deliveries of
// it. The place in the log stands in Postgres and moves when a page has been dealt
// with. So a replica that dies costs time and repeats, never an event.
package reader

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots/db"
)

// Work is what a reader is for. Its methods are called by one goroutine, while this
// replica has the lease.
type Work interface {
	// Begin gives where to go on, which is after, or behind what is of no concern.
	Begin(ctx context.Context, after db.EventCursor) (db.EventCursor, error)
	// Deal deals with a page, which may have no events, and notes the place behind it
	// through the lease: its Move does that, or a statement that does more. It tells
	// how much was done, for the metric. ok is false if another replica has the lease
	// by now. After that, and after an error, the page comes again, here or there.
	Deal(ctx context.Context, lease *db.EventReader, page *db.EventPage) (done int, ok bool, err error)
	// Look is called every Pace.Keep, for what does not come from the log.
	Look(ctx context.Context) error
}

// Pace says how often a reader does what. All are above zero.
type Pace struct {
	// Lease is how long the reader is kept without a word. With Try, how often it
	// is asked for, it bounds how long nobody reads after the one that did has died:
	// by their sum.
	Lease, Try time.Duration
	// Keep is how often an idle reader keeps its lease; less than a third of it.
	Keep time.Duration
	// The log is looked at every Busy while events come, and up to Idle apart when
	// none do.
	Busy, Idle time.Duration
	// Page is how many events are dealt with between two notes of the place.
	Page int
}

// failPause is the time between two tries while Postgres, or what the work needs,
// is away.
const failPause = time.Second

// Words are what the log is told.
type Words struct {
	Failing string // the first failure of a row
	Again   string // the end of that row
	Gap     string // retention was faster
}

// Config says what a Reader reads for.
type Config struct {
	DB *db.DB
	// Name is the reader's in the database, such as nats.
	Name string
	// Replica names this process in the lease.
	Replica string
	Work    Work
	Pace    Pace
	Words   Words
	Metrics Metrics
	// Switch says whether there is anything to do. May be nil: then there always is.
	Switch *Switch
	// Registerer takes the metrics. May be nil: then nobody sees them.
	Registerer prometheus.Registerer
	Log        *slog.Logger
}

// Reader reads while it has the lease, and waits for it while not.
type Reader struct {
	cfg     Config
	lease   db.EventReader
	metrics *metrics
	failing bool         // the last try failed, and was told
	oldest  atomic.Int64 // when the oldest event of the page under way happened, in microseconds; 0 for none
}

// New makes a Reader.
func New(cfg Config) (*Reader, error) {
	if cfg.DB == nil || cfg.Work == nil || cfg.Name == "" || cfg.Log == nil {
		return nil, errors.New("make a reader of the log: DB, Work, Name and Log are required")
	}
	r := &Reader{cfg: cfg, lease: db.EventReader{DB: cfg.DB, Name: cfg.Name, Replica: cfg.Replica, Lease: cfg.Pace.Lease}}
	r.metrics = newMetrics(cfg.Metrics, r.lag)
	if cfg.Registerer != nil {
		if err := r.metrics.register(cfg.Registerer); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Run reads until ctx is done. It gives the lease back, so that a stop costs the
// others no wait.
func (r *Reader) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if !r.cfg.Switch.wait(ctx) {
			continue // asked to stop
		}
		if err := r.turn(ctx); err != nil && ctx.Err() == nil {
			r.tell(err)
			sleep(ctx, failPause/2+rand.N(failPause))
		}
	}
	return nil
}

// tell logs the first failure of a row.
func (r *Reader) tell(err error) {
	r.metrics.failures.Inc()
	if !r.failing {
		r.cfg.Log.Warn(r.cfg.Words.Failing, "error", err)
	}
	r.failing = true
}

// turn reads for as long as the lease is this replica's; it returns soon if it is
// another's.
func (r *Reader) turn(ctx context.Context) error {
	step, cancel := context.WithTimeout(ctx, r.cfg.Pace.Lease)
	after, ok, err := r.lease.Take(step)
	cancel()
	if err != nil {
		return err
	}
	if !ok {
		r.oldest.Store(0) // what this one failed at is another's now
		sleep(ctx, r.cfg.Pace.Try/2+rand.N(r.cfg.Pace.Try/2))
		return nil
	}
	r.metrics.active.Set(1)
	defer r.leave(ctx)
	return r.lead(ctx, after)
}

// leave gives the lease back: whoever fails here lets another try. The lag of one
// that failed stays to be seen.
func (r *Reader) leave(ctx context.Context) {
	r.metrics.active.Set(0)
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = r.lease.Leave(step) // else it runs out by itself
}

// lag is by the database's clock, as events are.
func (r *Reader) lag() float64 {
	oldest := r.oldest.Load()
	if oldest == 0 {
		return 0
	}
	return max(-r.cfg.DB.Clock().Until(time.UnixMicro(oldest)), 0).Seconds()
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
