// Package relay publishes the lifecycle log to a NATS JetStream: one replica at a
// time, each event at least once, one timer's in order.
//
//	relay.go    a reader of the log, and what it does with a page
//	publish.go  a page of the log, in waves that keep each timer's order
//	stream.go   the stream that takes them
//
// The place in the log stands in Postgres and moves when the server has
// acknowledged a page; workers/reader has the lease and the loop. So a relay that
// dies, or a NATS that is away, costs time and repeats, never an event; the stream
// drops repeats by Nats-Msg-Id for as long as its window is.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers/reader"
)

// pace has another relay 2 seconds after the one that did has died.
var pace = reader.Pace{
	Lease: 1500 * time.Millisecond, Try: 300 * time.Millisecond, Keep: 400 * time.Millisecond,
	Busy: 20 * time.Millisecond, Idle: 200 * time.Millisecond, Page: 1000,
}

// publishTimeout is shorter than the lease: who cannot publish has lost it.
const publishTimeout = time.Second

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
	reader *reader.Reader
	stream jetstream.JetStream
	log    *slog.Logger
	ready  bool // the stream is there and will do
}

var _ reader.Work = (*Relay)(nil)

// New makes a Relay.
func New(cfg Config) (*Relay, error) {
	if cfg.DB == nil || cfg.JetStream == nil {
		return nil, errors.New("make the event relay: no database or no NATS")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	r := &Relay{stream: cfg.JetStream, log: cfg.Log.With("part", "relay")}
	var err error
	r.reader, err = reader.New(reader.Config{
		DB: cfg.DB, Name: "nats", Replica: cfg.Replica, Work: r, Pace: pace, Registerer: cfg.Registerer, Log: r.log,
		Words: reader.Words{
			Failing: "events are not relayed to NATS; they wait in the log, and it is tried again",
			Again:   "events are relayed to NATS again",
			Gap:     "events were removed by retention before they could be relayed; going on at the oldest",
		},
		Metrics: reader.Metrics{
			Prefix:   "minoots_relay",
			Active:   "1 on the replica that relays events to NATS.",
			Lag:      "Age of the oldest event that this replica has not relayed, of those that it tried to; 0 if there is none.",
			Events:   "Events relayed to NATS and acknowledged.",
			Failures: "Failed tries to relay, because NATS or Postgres was away or the stream does not fit.",
			Gaps:     "Times that retention removed events before they could be relayed.",
		},
	})
	return r, err
}

// Run relays until ctx is done.
func (r *Relay) Run(ctx context.Context) error { return r.reader.Run(ctx) }

// Begin implements reader.Work: every event is relayed.
func (r *Relay) Begin(_ context.Context, after db.EventCursor) (db.EventCursor, error) {
	return after, nil
}

// Deal implements reader.Work: it publishes a page, and then notes the place.
func (r *Relay) Deal(ctx context.Context, lease *db.EventReader, page *db.EventPage) (done int, ok bool, err error) {
	if !r.ready {
		if err := r.ensureStream(ctx); err != nil {
			return 0, false, err
		}
		r.ready = true
	}
	if err := r.publish(ctx, page.Events); err != nil {
		r.ready = false // the stream may be what is gone
		return 0, false, err
	}
	step, cancel := context.WithTimeout(ctx, lease.Lease)
	defer cancel()
	ok, err = lease.Move(step, page.Next, len(page.Events), !page.More)
	if err != nil {
		return 0, false, fmt.Errorf("note the place in the log: %w", err)
	}
	return len(page.Events), ok, nil
}

// Look implements reader.Work: all there is to do is in the log.
func (r *Relay) Look(context.Context) error { return nil }
