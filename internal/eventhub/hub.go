// Package eventhub hands the lifecycle log to any number of streams of one
// process, and reads it once for all of them.
//
//	hub.go      reads the log while there are streams, into a ring
//	stream.go   one consumer: catches up by pages of its own, then follows the ring
//	metrics.go  what operators see
//
// The ring is what bounds memory: a stream has no buffer. One that falls behind
// its end is cut off, and told where to go on.
package eventhub

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	// While there are streams the log is looked at every busyPause, and up to
	// idlePause apart when there is nothing new. NOTIFY would cost every writer a
	// lock of the whole cluster at its commit (docs/adr/0020-events.md); without
	// streams nothing is asked.
	busyPause = 20 * time.Millisecond
	idlePause = 50 * time.Millisecond
	// failPause is the time between two tries while Postgres is away.
	failPause = time.Second
	// readLimit is how many events are read at a time.
	readLimit = 2000
	// readTimeout ends a page that does not come.
	readTimeout = 15 * time.Second
)

// The limits of a replica. Each stream holds a connection and two goroutines.
const (
	MaxStreams       = 4000
	MaxTenantStreams = 2000
)

// catchUps is how many streams may read pages of their own at once, so that a
// thousand that come back together leave connections to requests.
const catchUps = 2

// Config says what a Hub works on.
type Config struct {
	DB *db.DB
	// Ring is how many events are kept for streams that are behind. Defaults to
	// 16,384, some 16 MB.
	Ring int
	// Registerer takes the metrics. May be nil: then nobody sees them.
	Registerer prometheus.Registerer
	// Log receives what happens while Postgres is away. Defaults to slog.Default.
	Log *slog.Logger
}

// Hub reads the log for the streams of a process. Run must run for them to get
// anything.
type Hub struct {
	db      *db.DB
	ring    int
	log     *slog.Logger
	metrics *metrics
	reads   chan struct{} // tokens of catchUps
	wake    chan struct{} // has a token when the first stream has come

	mu       sync.Mutex
	stopped  bool
	streams  int
	labelled int            // streams that choose by label
	tenants  map[string]int // streams of each
	tail     tail
	changed  chan struct{} // closed when tail or stopped has changed
}

// tail is the end of the log as the ring has it: batches numbered from first,
// behind a cursor. A cursor that is zero says that nothing is being read.
type tail struct {
	first   int
	batches []*batch
	events  int
	end     db.EventCursor
	levelAt time.Time // when it was last known to be all there is
}

func (t *tail) next() int { return t.first + len(t.batches) }

// batch is a page of the log, with what all streams share.
type batch struct {
	db.EventPage
	labelled bool
	shared   []shared
}

type shared struct {
	once   sync.Once
	json   []byte
	cursor string
}

// New makes a Hub.
func New(cfg Config) (*Hub, error) {
	if cfg.DB == nil {
		return nil, errors.New("make the event hub: no database")
	}
	if cfg.Ring == 0 {
		cfg.Ring = 16_384
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	h := &Hub{
		db: cfg.DB, ring: cfg.Ring, log: cfg.Log, reads: make(chan struct{}, catchUps), wake: make(chan struct{}, 1),
		tenants: map[string]int{}, changed: make(chan struct{}),
	}
	h.metrics = newMetrics(h)
	if cfg.Registerer != nil {
		if err := h.metrics.register(cfg.Registerer); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Run reads the log while there are streams, until ctx is done; then all streams
// end with ErrStopping.
func (h *Hub) Run(ctx context.Context) error {
	defer h.update(func() { h.stopped = true })
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake:
			h.follow(ctx)
		}
	}
}

// follow reads the log from now on until there are no more streams.
func (h *Hub) follow(ctx context.Context) {
	pause := busyPause
	for !h.rest() {
		fresh, more, err := h.read(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case minoots.ErrorCode(err) == minoots.CodeGone || minoots.ErrorCode(err) == minoots.CodeInvalid:
			// Another log took the place of the one that was being read. The streams
			// find out by themselves when they read on from their cursors.
			h.log.Error("the event log is not the one that was read before", "error", err)
			h.update(func() { h.tail = tail{first: h.tail.next() + 1} }) // who follows the ring is cut off
			pause = failPause
		case err != nil:
			h.log.Warn("the event log cannot be read; streams wait", "error", err, "retry_in", failPause)
			pause = failPause
		case more:
			continue
		case fresh > 0:
			pause = busyPause
		default:
			pause = min(pause*5/4, idlePause)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// rest lets the ring go if there is no stream. In one step with the question: a
// stream that came between would wait for a ring that goes on elsewhere.
func (h *Hub) rest() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams > 0 {
		return false
	}
	h.tail = tail{first: h.tail.next()}
	return true
}

// read takes one page into the ring.
func (h *Hub) read(ctx context.Context) (fresh int, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	h.mu.Lock()
	from, labelled := h.tail.end, h.labelled > 0
	h.mu.Unlock()
	began := time.Now()
	if from.IsZero() {
		end, err := h.db.EventLatest(ctx)
		if err == nil {
			h.update(func() { h.tail.end, h.tail.levelAt = end, began })
		}
		return 0, false, err
	}
	page, err := h.db.EventPage(ctx, db.EventRequest{After: from, Limit: readLimit, WithLabels: labelled})
	if err != nil {
		return 0, false, err
	}
	h.metrics.read.Add(float64(len(page.Events)))
	b := &batch{EventPage: page, labelled: labelled, shared: make([]shared, len(page.Events))}
	if len(page.Events) > 0 {
		h.update(func() { h.append(b, began) })
		return len(page.Events), page.More, nil
	}
	// Nothing that anybody waits for: the place moves all the same.
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tail.end = page.Next
	if !page.More {
		h.tail.levelAt = began
	}
	return 0, page.More, nil
}

// append puts a batch into the ring and lets the oldest go.
func (h *Hub) append(b *batch, at time.Time) {
	t := &h.tail
	t.batches, t.events, t.end = append(t.batches, b), t.events+len(b.Events), b.Next
	if !b.More {
		t.levelAt = at
	}
	for t.events > h.ring && len(t.batches) > 1 {
		t.events -= len(t.batches[0].Events)
		t.batches[0] = nil
		t.batches, t.first = t.batches[1:], t.first+1
	}
}

// update changes the hub and tells the streams.
func (h *Hub) update(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	close(h.changed)
	h.changed = make(chan struct{})
}

// lag is for how long the ring may not have had all there is, 0 without streams.
func (h *Hub) lag() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tail.levelAt.IsZero() {
		return 0
	}
	return time.Since(h.tail.levelAt)
}

// encoded gives the i-th event as JSON and its cursor, made once for all streams.
func (b *batch) encoded(i int) *shared {
	s := &b.shared[i]
	s.once.Do(func() {
		s.json, _ = json.Marshal(&b.Events[i].Event) // strings, numbers and JSON out of Postgres
		s.cursor = b.Cursor(i).String()
	})
	return s
}
