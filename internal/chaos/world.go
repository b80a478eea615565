package chaos

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// world is what a scenario works with.
type world struct {
	h        *harness
	scenario scenario
	row      *Row
	rng      *rand.Rand // by the seed; for the scenario's own goroutine alone
	server   *server
	db       *database
	receiver *receiver
	caller   *caller
	load     *load
	stopLoad context.CancelFunc
	control  *control // nil without one
	ends     []func() // in reverse order, at the end

	mu      sync.Mutex
	started []*member // all processes
	fleet   []*member // those that were ready once
	avoided map[string]time.Time
	deaths  []death
	faults  []time.Time // when each fault was over, or happened
}

func (h *harness) newWorld(s scenario, row *Row) *world {
	name := fnv.New64a()
	_, _ = name.Write([]byte(s.name)) // so that a scenario is the same whichever ran before
	return &world{
		h: h, scenario: s, row: row, server: h.server, stopLoad: func() {}, avoided: map[string]time.Time{},
		rng: rand.New(rand.NewPCG(h.cfg.Seed, name.Sum64())),
	}
}

func (w *world) say(format string, args ...any) { w.h.say("      "+format, args...) }

// window is how long timers are due.
func (w *world) window() time.Duration {
	if w.h.cfg.Short {
		return w.scenario.size.short
	}
	return w.scenario.size.full
}

func (w *world) open(ctx context.Context) error {
	w.h.say("%s: %s", w.scenario.name, w.scenario.what)
	var err error
	if w.receiver, err = startReceiver(); err != nil {
		return err
	}
	return w.inhabit(ctx, w.server, template)
}

// inhabit makes the scenario's database on a server.
func (w *world) inhabit(ctx context.Context, s *server, from string) error {
	w.server, w.caller = s, newCaller(s.key)
	var err error
	w.db, err = s.create(ctx, "chaos_"+strings.ReplaceAll(w.scenario.name, "-", "_"), from)
	return err
}

// atEnd has something undone when the scenario is over and its replicas are gone.
func (w *world) atEnd(undo func()) { w.ends = append(w.ends, undo) }

func (w *world) close() error {
	w.stopLoad()
	if w.load != nil {
		<-w.load.done
	}
	err := w.stopAll()
	if w.receiver != nil {
		err = errors.Join(err, w.receiver.close())
	}
	if w.db != nil && !w.h.cfg.Keep {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = errors.Join(err, w.db.drop(ctx))
	} else if w.db != nil {
		w.db.pool.Close()
	}
	for i := len(w.ends) - 1; i >= 0; i-- {
		w.ends[i]()
	}
	return err
}

// begin starts the usual fleet and the load, and returns when timers are due.
func (w *world) begin(ctx context.Context, k kind, slow slowness) error {
	if _, err := w.start(ctx, replicas, k); err != nil {
		return err
	}
	w.startLoad(ctx, w.window(), slow)
	return w.untilDue(ctx, time.Second)
}

// untilDue waits until timers have been due for so long.
func (w *world) untilDue(ctx context.Context, since time.Duration) error {
	return rig.Pause(ctx, time.Until(w.load.begin.Add(since)))
}

// fault notes when a fault was over, from which on recovery counts.
func (w *world) fault() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.faults = append(w.faults, now)
	return now
}

// patience is how long what is due may take to arrive before it is lost: longer
// than a lost worker, a sweep and the first retries take together.
const patience = 20 * time.Second

// settle waits until all that was acknowledged has arrived and is on record, or
// nothing more is to be hoped for, and fills the row.
func (w *world) settle(ctx context.Context) (*tally, error) {
	select {
	case <-w.load.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	deadline := w.load.end
	if n := len(w.faults); n > 0 && w.faults[n-1].After(deadline) {
		deadline = w.faults[n-1]
	}
	deadline = deadline.Add(patience)
	for {
		missing := 0
		for _, t := range w.load.known() {
			for _, id := range t.deliveries() {
				if !w.receiver.has(id) {
					missing++
				}
			}
		}
		open := 0
		if missing == 0 {
			var err error
			if open, err = w.unsettled(ctx); err != nil && time.Now().After(deadline) {
				return nil, err
			} else if err != nil {
				open = 1 // it does not answer yet
			}
		}
		if missing+open == 0 || time.Now().After(deadline) {
			break
		}
		if err := rig.Pause(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return w.judge(ctx)
}
