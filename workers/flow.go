package workers

import (
	"time"

	"github.com/minoots/minoots"
)

// flow is the deliveries of one tenant to one destination: what is bounded, and
// what takes turns.
type flow struct {
	tenant, destination string

	waiting  []*task
	running  int
	reserved int // in a transaction that has not committed yet

	typical time.Duration // a moving average of how long an attempt takes; 0 before the first
	moved   time.Time     // when an attempt last ended, or began while none was under way
}

// task is a delivery that this replica is to make, or is making.
type task struct {
	jobID    int64
	delivery minoots.Delivery
	flow     *flow
}

// slowAttempt is from which typical duration on a flow counts as slow, and must
// leave most slots to others. It is far above what a loaded machine makes of a
// receiver that answers at once: a flow that is slow for want of our own CPU would
// only be made slower (measured: at 100 ms a storm on a machine with other work
// fell from 5,900 to 1,100 deliveries/s).
const slowAttempt = time.Second

// slow tells whether attempts take long, by what they took or, when none has
// ended yet, by how long that has been so.
func (f *flow) slow(now time.Time) bool {
	return f.typical > slowAttempt || f.running > 0 && now.Sub(f.moved) > slowAttempt
}

// ended takes in how long an attempt took.
func (f *flow) ended(now time.Time, took time.Duration) {
	f.moved = now
	if f.typical == 0 {
		f.typical = took
		return
	}
	f.typical += (took - f.typical) / 8
}

func (f *flow) idle() bool { return f.running == 0 && f.reserved == 0 && len(f.waiting) == 0 }

// limits say how much of a replica one flow may have.
type limits struct {
	slots  int // attempts under way at once
	buffer int // deliveries that wait for a slot
}

// most is what a flow, a tenant or a destination may have under way: a quarter
// of the slots stays free for the others, whatever happens.
func (l limits) most() int { return max(1, l.slots*3/4) }

// slowMost is the same for a flow whose attempts take long.
func (l limits) slowMost() int { return max(1, l.slots/4) }

// waitMost is what a flow may have waiting.
func (l limits) waitMost() int { return max(1, l.buffer*3/4) }

// turns is the flows of one kind of action: which task is next, and whether
// there is room for more. Not safe for concurrent use.
type turns struct {
	limits
	flows        map[flowKey]*flow
	ring         []*flow // those with waiting tasks, in turn
	running      int
	waiting      int
	reserved     int
	tenants      map[string]int // running, by tenant
	destinations map[string]int
}

type flowKey struct{ tenant, destination string }

func newTurns(l limits) *turns {
	return &turns{limits: l, flows: map[flowKey]*flow{}, tenants: map[string]int{}, destinations: map[string]int{}}
}

// flow finds or makes a flow.
func (t *turns) flow(key flowKey) *flow {
	f := t.flows[key]
	if f == nil {
		f = &flow{tenant: key.tenant, destination: key.destination}
		t.flows[key] = f
	}
	return f
}

// room is how many more deliveries can be taken, of whatever flow.
func (t *turns) room() int {
	room := t.buffer - t.waiting - t.reserved
	for _, f := range t.ring {
		room = min(room, t.waitMost()-len(f.waiting)-f.reserved)
	}
	return max(0, room)
}

// reserve takes room for one delivery of a flow, if there is any. If there is
// none it tells whether that is for the flow's own sake: it is slow, or has its
// share.
func (t *turns) reserve(f *flow, now time.Time) (ok, own bool) {
	held := len(f.waiting) + f.reserved
	switch {
	case held >= t.waitMost(), f.slow(now) && f.running+held >= t.slowMost():
		return false, true
	case t.waiting+t.reserved >= t.buffer:
		return false, false
	}
	f.reserved++
	t.reserved++
	return true, false
}

// release gives reserved room back.
func (t *turns) release(f *flow) {
	f.reserved--
	t.reserved--
}

// push has a task wait for its turn.
func (t *turns) push(k *task) {
	if len(k.flow.waiting) == 0 {
		t.ring = append(t.ring, k.flow)
	}
	k.flow.waiting = append(k.flow.waiting, k)
	t.waiting++
}

// pop begins the next task: the flows take turns, and those that have all they
// may have are passed over. Nil if nothing may begin.
func (t *turns) pop(now time.Time) *task {
	if t.running >= t.slots {
		return nil
	}
	for i, f := range t.ring {
		if !t.may(f, now) {
			continue
		}
		k := f.waiting[0]
		f.waiting[0] = nil
		f.waiting = f.waiting[1:]
		t.waiting--
		t.ring = append(t.ring[:i], t.ring[i+1:]...)
		if len(f.waiting) > 0 {
			t.ring = append(t.ring, f)
		}
		t.begin(f, now)
		return k
	}
	return nil
}

// begin takes in that an attempt begins.
func (t *turns) begin(f *flow, now time.Time) {
	if f.running == 0 {
		f.moved = now
	}
	f.running++
	t.running++
	t.tenants[f.tenant]++
	t.destinations[f.destination]++
}

func (t *turns) may(f *flow, now time.Time) bool {
	if f.running >= t.slowMost() && (f.typical == 0 || f.slow(now)) {
		return false
	}
	return t.tenants[f.tenant] < t.most() && t.destinations[f.destination] < t.most()
}

// end takes in that a task has ended.
func (t *turns) end(k *task, now time.Time, took time.Duration) {
	f := k.flow
	f.ended(now, took)
	f.running--
	t.running--
	count(t.tenants, f.tenant)
	count(t.destinations, f.destination)
}

// count takes one off, and forgets what has none.
func count(of map[string]int, key string) {
	if of[key]--; of[key] == 0 {
		delete(of, key)
	}
}

// stuck takes the waiting tasks out of the flows that have become slow: what is
// to wait for long does not wait in one replica's memory.
func (t *turns) stuck(now time.Time) (out []*task) {
	return t.take(func(f *flow) bool { return f.slow(now) && f.running >= t.slowMost() })
}

// all takes out all that wait.
func (t *turns) all() []*task { return t.take(func(*flow) bool { return true }) }

func (t *turns) take(which func(*flow) bool) (out []*task) {
	rest := t.ring[:0]
	for _, f := range t.ring {
		if !which(f) {
			rest = append(rest, f)
			continue
		}
		out = append(out, f.waiting...)
		t.waiting -= len(f.waiting)
		f.waiting = nil
	}
	t.ring = rest
	return out
}

// forget drops the flows that nothing is known of any more but their pace.
func (t *turns) forget(before time.Time) {
	for key, f := range t.flows {
		if f.idle() && f.moved.Before(before) {
			delete(t.flows, key)
		}
	}
}
