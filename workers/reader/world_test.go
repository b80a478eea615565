package reader_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
	"github.com/minoots/minoots/workers/reader"
)

func TestMain(m *testing.M) { testdb.Main(m) }

const (
	soon = 60 * time.Second // how long a test waits for what must come
	tick = 10 * time.Millisecond
)

var pace = reader.Pace{
	Lease: 1500 * time.Millisecond, Try: 300 * time.Millisecond, Keep: 400 * time.Millisecond,
	Busy: 10 * time.Millisecond, Idle: 50 * time.Millisecond, Page: 7,
}

// world is a database, and what readers have dealt with.
type world struct {
	testing.TB
	*testdb.DB
	db *db.DB

	mu    sync.Mutex
	dealt []dealt
}

// dealt is an event that a reader has dealt with.
type dealt struct {
	by, id string
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, DB: testdb.New(t)}
	w.db = w.connect(w.URL)
	_, err := w.db.TenantCreate(t.Context(), "acme", "")
	require.NoError(t, err)
	return w
}

func (w *world) connect(url string) *db.DB {
	w.Helper()
	d, err := db.Connect(w.Context(), db.Config{URL: url, Name: "test", MaxConns: 4, Log: slog.New(slog.DiscardHandler)})
	require.NoError(w, err)
	w.Cleanup(d.Close)
	return d
}

// schedule makes timers: an event each.
func (w *world) schedule(n int) {
	w.Helper()
	timers := make([]db.NewTimer, n)
	for i := range timers {
		at := minoots.InstantOf(time.Now().Add(time.Hour))
		timers[i] = db.NewTimer{ID: minoots.NewID(), TenantID: "acme", Spec: minoots.TimerSpec{FireAt: &at}}
	}
	_, err := w.db.TimerCreate(w.Context(), timers)
	require.NoError(w, err)
}

// log is the ids of all events, in order.
func (w *world) log() (ids []string) {
	w.Helper()
	after, err := w.db.EventOldest(w.Context())
	require.NoError(w, err)
	for more := true; more; {
		page, err := w.db.EventPage(w.Context(), db.EventRequest{After: after, Limit: 1000})
		require.NoError(w, err)
		for i := range page.Events {
			ids = append(ids, page.Events[i].ID)
		}
		after, more = page.Next, page.More
	}
	return ids
}

// by is what a reader has dealt with.
func (w *world) by(name string) (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.dealt {
		if d.by == name {
			ids = append(ids, d.id)
		}
	}
	return ids
}

// first is all that was dealt with, each at its first time.
func (w *world) first() (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[string]bool{}
	for _, d := range w.dealt {
		if !seen[d.id] {
			seen[d.id], ids = true, append(ids, d.id)
		}
	}
	return ids
}

// all waits until the whole log was dealt with, and holds it to its order.
func (w *world) all() {
	w.Helper()
	want := w.log()
	require.Eventually(w, func() bool { return len(w.first()) >= len(want) }, soon, tick)
	require.Equal(w, want, w.first())
}

// worker is a reader at work.
type worker struct {
	*world
	name     string
	registry *prometheus.Registry
	said     *buffer
	stop     func()

	mu sync.Mutex
	// meet is called with each page that has events, before it is dealt with.
	meet func(context.Context) error
}

func (w *world) read(name string, d *db.DB, on *reader.Switch) *worker {
	w.Helper()
	r := &worker{world: w, name: name, registry: prometheus.NewRegistry(), said: &buffer{}}
	made, err := reader.New(reader.Config{
		DB: d, Name: "test", Replica: name, Work: r, Pace: pace, Switch: on, Registerer: r.registry,
		Words:   reader.Words{Failing: "it fails", Again: "it goes again", Gap: "there is a gap"},
		Metrics: reader.Metrics{Prefix: "test"},
		Log:     slog.New(slog.NewTextHandler(r.said, nil)),
	})
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { _ = made.Run(ctx) })
	r.stop = func() { cancel(); wg.Wait() }
	w.Cleanup(r.stop)
	return r
}

// meets sets what happens to the next pages.
func (r *worker) meets(what func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.meet = what
}

// Begin implements reader.Work.
func (r *worker) Begin(_ context.Context, after db.EventCursor) (db.EventCursor, error) {
	return after, nil
}

// Deal implements reader.Work.
func (r *worker) Deal(ctx context.Context, lease *db.EventReader, page *db.EventPage) (int, bool, error) {
	r.mu.Lock()
	meet := r.meet
	r.mu.Unlock()
	if meet != nil && len(page.Events) > 0 {
		if err := meet(ctx); err != nil {
			return 0, false, err
		}
	}
	r.world.mu.Lock()
	for i := range page.Events {
		r.dealt = append(r.dealt, dealt{r.name, page.Events[i].ID})
	}
	r.world.mu.Unlock()
	ok, err := lease.Move(ctx, page.Next, len(page.Events), !page.More)
	return len(page.Events), ok, err
}

// Look implements reader.Work.
func (r *worker) Look(context.Context) error { return nil }

// metric is a metric's value now.
func (r *worker) metric(name string) float64 {
	r.Helper()
	families, err := r.registry.Gather()
	require.NoError(r, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	r.Fatalf("no metric %s", name)
	return 0
}

func (r *worker) eventually(what string, so func() bool) {
	r.Helper()
	require.Eventually(r, so, soon, tick, what)
}

func (r *worker) leads() bool { return r.metric("test_active") == 1 }

// buffer is a log.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// count is how often the log has a word.
func (b *buffer) count(word string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Count(b.text.Bytes(), []byte(word))
}
