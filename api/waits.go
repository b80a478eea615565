package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	// maxWaiters is of a replica. Each takes a connection of a client's, and some
	// tens of kilobytes.
	maxWaiters = 20_000
	// maxTenantWaiters leaves room for other tenants.
	maxTenantWaiters = 10_000
)

// waits is who waits for timers on this replica. While there is anybody, one
// goroutine looks with one statement for all those of whose timers it heard that
// they are over (waits_look.go); there is no poll and no connection of a waiter's
// own, and nothing at rest. The reasons are in docs/adr/0021-waiting.md.
type waits struct {
	db        *db.DB
	log       *slog.Logger
	gauge     prometheus.Gauge
	looks     prometheus.Counter
	listens   prometheus.Gauge
	fallback  time.Duration // between two looks at all while it listens
	leave     chan struct{} // closed when the replica stops
	leaves    sync.Once
	wake      chan struct{} // has a token when the next look may be sooner
	announced announced

	mu        sync.Mutex
	timers    map[minoots.ID]*waited
	tenants   map[string]int // how many wait
	total     int
	looking   bool                // there is a goroutine
	soon      map[minoots.ID]bool // to be looked at at once: new here, or said to be over
	all       bool                // look at all: words may have been missed
	listening bool                // it would be told
}

// waited is a timer that somebody waits for. An id is of one tenant only.
type waited struct {
	tenant string
	due    time.Time // as it was when the last came to wait
	who    map[chan minoots.Timer]bool
}

func newWaits(d *db.DB, log *slog.Logger) *waits {
	return &waits{
		db: d, log: log, fallback: waitFallback, leave: make(chan struct{}), wake: make(chan struct{}, 1),
		timers: map[minoots.ID]*waited{}, tenants: map[string]int{}, soon: map[minoots.ID]bool{},
		gauge: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_waiters", Help: "Requests that wait for a timer to be over.",
		}),
		looks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_wait_looks_total", Help: "Statements that looked which of the timers waited for are over.",
		}),
		listens: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_wait_listening", Help: "1 while this replica is told which timers are over, 0 while it polls for those that are waited for.",
		}),
	}
}

// stop has all who wait answered, and nobody wait any more.
func (w *waits) stop() { w.leaves.Do(func() { close(w.leave) }) }

// wait gives the timer when it is over, or as it was when the time is up or the
// replica stops.
func (w *waits) wait(ctx context.Context, timer minoots.Timer, timeout time.Duration) (minoots.Timer, error) {
	over, err := w.enter(timer)
	if err != nil {
		return timer, err
	}
	defer w.exit(timer, over)
	up := time.NewTimer(timeout)
	defer up.Stop()
	select {
	case ended := <-over:
		return ended, nil
	case <-up.C:
		return timer, nil
	case <-w.leave:
		return timer, nil
	case <-ctx.Done():
		return timer, ctx.Err()
	}
}

func (w *waits) enter(timer minoots.Timer) (chan minoots.Timer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.total >= maxWaiters || w.tenants[timer.TenantID] >= maxTenantWaiters {
		return nil, &minoots.Error{
			Code: minoots.CodeRateLimited, Message: "too many requests wait for timers on this replica",
			Hint: "try again shortly, or follow GET /v1/timers with one request for many timers",
		}
	}
	on := w.timers[timer.ID]
	if on == nil {
		on = &waited{tenant: timer.TenantID, who: map[chan minoots.Timer]bool{}}
		w.timers[timer.ID] = on
	}
	on.due = timer.FireAt.Time
	over := make(chan minoots.Timer, 1)
	on.who[over] = true
	w.total++
	w.tenants[timer.TenantID]++
	w.gauge.Inc()
	// It may have ended since it was read, and nobody was told.
	w.soon[timer.ID] = true
	if !w.looking {
		w.looking = true
		go w.look()
	}
	w.hurry()
	return over, nil
}

func (w *waits) exit(timer minoots.Timer, over chan minoots.Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if on := w.timers[timer.ID]; on != nil {
		delete(on.who, over)
		if len(on.who) == 0 {
			delete(w.timers, timer.ID)
		}
	}
	w.total--
	if w.tenants[timer.TenantID]--; w.tenants[timer.TenantID] == 0 {
		delete(w.tenants, timer.TenantID)
	}
	w.gauge.Dec()
	if len(w.timers) == 0 {
		w.hurry() // to the end
	}
}

// hurry has the goroutine think again about when to look.
func (w *waits) hurry() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Listens implements db.Ear.
func (w *waits) Listens(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listens.Set(0)
	if on {
		w.listens.Set(1)
	}
	w.listening, w.all = on, true
	w.hurry()
}

// TimersOver implements db.Ear.
func (w *waits) TimersOver(ids []minoots.ID, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := len(w.soon)
	for _, id := range ids {
		if w.timers[id] != nil {
			w.soon[id] = true
		}
	}
	w.all = w.all || more
	if more || len(w.soon) > known {
		w.hurry()
	}
}

// tell wakes those who wait for timers that are over.
func (w *waits) tell(ended []minoots.Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, timer := range ended {
		on := w.timers[timer.ID]
		if on == nil || on.tenant != timer.TenantID {
			continue
		}
		for over := range on.who {
			over <- timer // it has room for one, and gets no second
		}
		delete(w.timers, timer.ID)
	}
}
