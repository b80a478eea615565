package workers

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// gate is a destination that deliveries do not go to directly.
type gate struct {
	key   flowKey
	queue string // in which they wait
	state minoots.BreakerState
}

// gateMap is never changed.
type gateMap map[flowKey]*gate

// gates is what this replica knows of the destinations that are not ordinary: what
// the last look at Postgres found, and what it has shut itself since. A nil gates
// knows none.
type gates struct {
	// known tells by one load that there are none, which is nearly always so.
	known atomic.Pointer[gateMap]

	mu     sync.Mutex
	turn   int                   // counts the looks that have begun
	shutIn map[flowKey]int       // those that this replica has shut, and the last turn before
	idle   map[flowKey]time.Time // since when nothing is seen to wait for it
}

func newGates() *gates { return &gates{shutIn: map[flowKey]int{}, idle: map[flowKey]time.Time{}} }

// none tells that all destinations are ordinary.
func (g *gates) none() bool { return g.known.Load() == nil }

// inQueue gives the gate whose deliveries wait in a queue, nil if it is not known.
func (g *gates) inQueue(queue string) *gate {
	if all := g.known.Load(); all != nil {
		for _, found := range *all {
			if found.queue == queue {
				return found
			}
		}
	}
	return nil
}

// idleFor is how long nothing has been seen to wait for a destination that is open.
func (g *gates) idleFor(key flowKey, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	since, ok := g.idle[key]
	if !ok {
		return 0
	}
	return now.Sub(since)
}

// of gives the gate of a flow, nil if it is ordinary.
func (g *gates) of(key flowKey) *gate {
	if g == nil {
		return nil
	}
	if all := g.known.Load(); all != nil {
		return (*all)[key]
	}
	return nil
}

// shut has the deliveries of a flow wait, from now on.
func (g *gates) shut(key flowKey) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shutIn[key] = g.turn
	next := gateMap{}
	if all := g.known.Load(); all != nil {
		next = maps.Clone(*all)
	}
	next[key] = newShut(key)
	g.known.Store(&next)
}

// look begins a look at Postgres.
func (g *gates) look() (turn int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn++
	return g.turn
}

// learn takes in what a look has found. What was shut after it began stays. It
// gives the queues of those that were open and are not any more, whoever did that.
func (g *gates) learn(turn int, found []db.Lane) (freed []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.known.Load()
	next, idle := gateMap{}, map[flowKey]time.Time{}
	for i := range found {
		l := &found[i]
		if l.Destination == "" {
			continue
		}
		key := flowKey{l.Tenant, l.Destination}
		next[key] = &gate{key: key, queue: l.Queue, state: l.State}
		if before != nil && l.State != minoots.BreakerOpen && l.State != minoots.BreakerHalfOpen {
			if was := (*before)[key]; was != nil && was.state != l.State {
				freed = append(freed, l.Queue)
			}
		}
		if l.State != minoots.BreakerClosed && !l.Filled {
			if since, ok := g.idle[key]; ok {
				idle[key] = since
			} else {
				idle[key] = time.Now()
			}
		}
	}
	g.idle = idle
	for key, in := range g.shutIn {
		switch {
		case in < turn:
			delete(g.shutIn, key)
		case next[key] == nil:
			next[key] = newShut(key)
		}
	}
	if len(next) == 0 {
		g.known.Store(nil)
		return freed
	}
	g.known.Store(&next)
	return freed
}

func newShut(key flowKey) *gate {
	return &gate{key: key, queue: db.HeldQueue(key.tenant, key.destination), state: minoots.BreakerOpen}
}
