// Package relay publishes the lifecycle log to a NATS JetStream: one replica at a
// time, each event at least once, one timer's in order.
//
//	relay.go    who relays: a lease in Postgres, and the loop of the one that has it
//	publish.go  a page of the log, in waves that keep each timer's order
//	stream.go   the stream that takes them
//	metrics.go  what operators see
//
// The place in the log stands in Postgres and moves when the server has
// acknowledged a page. So a relay that dies, or a NATS that is away, costs time
// and repeats, never an event; the stream drops repeats by Nats-Msg-Id for as long
// as its window is.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	// leaseTime and tryEvery bound how long nobody relays after the one that did
	// has died: 2 seconds.
	leaseTime = 1500 * time.Millisecond
	tryEvery  = 300 * time.Millisecond
	// keepEvery is how often an idle relay keeps its lease.
	keepEvery = 400 * time.Millisecond
	// publishTimeout is shorter than the lease: who cannot publish has lost it.
	publishTimeout = time.Second
	// The log is looked at every busyPause while events come, and up to idlePause
	// apart when none do.
	busyPause = 20 * time.Millisecond
	idlePause = 200 * time.Millisecond
	// failPause is the time between two tries while NATS or Postgres is away.
	failPause = time.Second
	// pageLimit is how many events are published between two notes of the place.
	pageLimit = 1000
)

// Config says what a Relay works on.
type Config struct {
	DB *db.DB
	// JetStream publishes; it may be away at any time.
	JetStream jetstream.JetStream
	// Replica names this process in the lease.
	Replica string
	// Registerer takes the metrics. May be nil: then nobody sees them.
	Registerer prometheus.Registerer
	// Log defaults to slog.Default.
	Log *slog.Logger
}

// Relay publishes the log while it has the lease, and waits for it while not.
type Relay struct {
	db      *db.DB
	reader  db.EventReader
	stream  jetstream.JetStream
	log     *slog.Logger
	metrics *metrics
	ready   bool         // the stream is there and will do
	failing bool         // the last try failed, and was told
	oldest  atomic.Int64 // when the oldest event of the page under way happened, in microseconds; 0 for none
}

// New makes a Relay.
func New(cfg Config) (*Relay, error) {
	if cfg.DB == nil || cfg.JetStream == nil {
		return nil, errors.New("make the event relay: no database or no NATS")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	r := &Relay{
		db: cfg.DB, stream: cfg.JetStream, log: cfg.Log.With("part", "relay"),
		reader: db.EventReader{DB: cfg.DB, Name: "nats", Replica: cfg.Replica, Lease: leaseTime},
	}
	r.metrics = newMetrics(r.lag)
	if cfg.Registerer != nil {
		if err := r.metrics.register(cfg.Registerer); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Run relays until ctx is done. It gives the lease back, so that a stop costs the
// others no wait.
func (r *Relay) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := r.turn(ctx); err != nil && ctx.Err() == nil {
			r.tell(err)
			sleep(ctx, failPause/2+rand.N(failPause))
		}
	}
	return nil
}

// tell logs the first failure of a row.
func (r *Relay) tell(err error) {
	r.metrics.failures.Inc()
	if !r.failing {
		r.log.Warn("events are not relayed to NATS; they wait in the log, and it is tried again", "error", err)
	}
	r.failing = true
}

// turn relays for as long as the lease is this replica's; it returns soon if it is
// another's.
func (r *Relay) turn(ctx context.Context) error {
	step, cancel := context.WithTimeout(ctx, leaseTime)
	after, ok, err := r.reader.Take(step)
	cancel()
	if err != nil || !ok {
		if err == nil {
			sleep(ctx, tryEvery/2+rand.N(tryEvery/2))
		}
		return err
	}
	r.metrics.active.Set(1)
	defer r.leave(ctx)
	return r.lead(ctx, after)
}

// leave gives the lease back: whoever fails here lets another try.
func (r *Relay) leave(ctx context.Context) {
	r.metrics.active.Set(0)
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = r.reader.Leave(step) // else it runs out by itself
}

// lead publishes page after page.
func (r *Relay) lead(ctx context.Context, after db.EventCursor) error {
	kept, pause := time.Now(), busyPause
	for ctx.Err() == nil {
		if !r.ready {
			if err := r.ensureStream(ctx); err != nil {
				return err
			}
			r.ready = true
		}
		page, err := r.page(ctx, after)
		if err != nil {
			return err
		}
		if len(page.Events) > 0 {
			r.oldest.Store(page.Events[0].OccurredAt.UnixMicro())
			if err := r.publish(ctx, page.Events); err != nil {
				r.ready = false // the stream may be what is gone
				return err
			}
		}
		if len(page.Events) > 0 || time.Since(kept) >= keepEvery {
			if ok, err := r.move(ctx, &page); err != nil || !ok {
				return err
			}
			kept = time.Now()
		}
		after = page.Next
		if page.More {
			continue
		}
		if pause = min(pause*5/4, idlePause); len(page.Events) > 0 {
			pause = busyPause
		}
		sleep(ctx, pause)
	}
	return nil
}

// page reads the next page. Where retention was faster than the relay, it goes on
// at the oldest event there is, and says so.
func (r *Relay) page(ctx context.Context, after db.EventCursor) (db.EventPage, error) {
	step, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	page, err := r.db.EventPage(step, db.EventRequest{After: after, Limit: pageLimit})
	if code := minoots.ErrorCode(err); code != minoots.CodeGone && code != minoots.CodeInvalid {
		return page, err
	}
	r.metrics.gaps.Inc()
	r.log.Error("events were removed by retention before they could be relayed; going on at the oldest", "error", err)
	oldest, err := r.db.EventOldest(step)
	if err != nil {
		return page, err
	}
	return r.db.EventPage(step, db.EventRequest{After: oldest, Limit: pageLimit})
}

// move notes the place behind a page that has been published.
func (r *Relay) move(ctx context.Context, page *db.EventPage) (bool, error) {
	step, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	ok, err := r.reader.Move(step, page.Next, len(page.Events), !page.More)
	if err != nil {
		return false, fmt.Errorf("note the place in the log: %w", err)
	}
	if ok && r.failing {
		r.failing = false
		r.log.Info("events are relayed to NATS again")
	}
	if ok {
		r.oldest.Store(0)
	}
	r.metrics.published.Add(float64(len(page.Events)))
	return ok, nil
}

// lag is by the database's clock, as events are.
func (r *Relay) lag() float64 {
	oldest := r.oldest.Load()
	if oldest == 0 {
		return 0
	}
	return max(-r.db.Clock().Until(time.UnixMicro(oldest)), 0).Seconds()
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
