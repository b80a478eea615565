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
	// waitTick is how often it is looked which timers are over that are due, and
	// waitSweep, in ticks, how often for the rest, which can only be cancelled, or
	// moved, before they are.
	waitTick  = 100 * time.Millisecond
	waitSweep = 5
	// waitPause is between two looks while the database does not answer, and
	// waitLook how long one may take.
	waitPause = time.Second
	waitLook  = 10 * time.Second
)

// waits is who waits for timers on this replica. While there is anybody, one
// goroutine asks with one statement for all of them; there is no poll and no
// connection of a waiter's own, and nothing at rest. Why it does not listen is in
// docs/adr/0021-waiting.md.
type waits struct {
	db     *db.DB
	log    *slog.Logger
	gauge  prometheus.Gauge
	looks  prometheus.Counter
	leave  chan struct{} // closed when the replica stops
	leaves sync.Once

	mu      sync.Mutex
	timers  map[minoots.ID]*waited
	tenants map[string]int // how many wait
	total   int
	looking bool // there is a goroutine
}

// waited is a timer that somebody waits for. An id is of one tenant only.
type waited struct {
	tenant string
	due    time.Time // as it was when the last came to wait
	who    map[chan minoots.Timer]bool
}

func newWaits(d *db.DB, log *slog.Logger) *waits {
	return &waits{
		db: d, log: log, leave: make(chan struct{}), timers: map[minoots.ID]*waited{}, tenants: map[string]int{},
		gauge: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_waiters", Help: "Requests that wait for a timer to be over.",
		}),
		looks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_wait_looks_total", Help: "Statements that looked which of the timers waited for are over.",
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
	if !w.looking {
		w.looking = true
		go w.look()
	}
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
}

// look asks until nobody waits any more.
func (w *waits) look() {
	failing := false
	for tick := 1; ; tick++ {
		pause := waitTick
		if failing {
			pause = waitPause
		}
		select {
		case <-time.After(pause):
		case <-w.leave:
		}
		ids, tenants, goOn := w.wanted(tick%waitSweep == 0 || failing)
		if !goOn {
			return
		}
		if len(ids) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), waitLook)
		ended, err := w.db.TimerEnded(ctx, ids, tenants)
		cancel()
		w.looks.Inc()
		if (err != nil) != failing {
			if failing = err != nil; failing {
				w.log.Warn("cannot see which timers are over; those who wait for them go on waiting", "error", err)
			} else {
				w.log.Info("sees again which timers are over")
			}
		}
		w.tell(ended)
	}
}

// wanted lists the timers to look at: those that are due, or all. It ends the
// looking if there is nobody to look for.
func (w *waits) wanted(all bool) (ids []minoots.ID, tenants []string, goOn bool) {
	now := w.db.Clock().Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.leave:
		w.looking = false
		return nil, nil, false
	default:
	}
	if len(w.timers) == 0 {
		w.looking = false
		return nil, nil, false
	}
	for id, on := range w.timers {
		if all || !on.due.After(now) {
			ids = append(ids, id)
		}
	}
	for tenant := range w.tenants {
		tenants = append(tenants, tenant)
	}
	return ids, tenants, true
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
