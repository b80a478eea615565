package workers

import (
	"context"
	"sync"
	"time"
)

// roomShare is the part of the buffer that should be free before a claim of a
// backlog is made: small claims cost more a timer.
const roomShare = 4

// roomWait is how long a claim waits for that room. A replica whose receivers
// answer has it in a few milliseconds, and one that lacks CPU an eighth of it;
// otherwise the deliveries go to the queues, where all replicas find them.
const (
	roomWait  = 50 * time.Millisecond
	roomLeast = 8
)

// desk runs deliveries of one kind that this replica's own kernel has claimed,
// without a way through River's queue. It holds no state that matters: its jobs
// stand in River's table as running here, and whoever finds this process dead
// puts them back.
type desk struct {
	attempt func(context.Context, *task) (took time.Duration)
	// moved is given tasks that are not to wait here any more; crowding says that
	// their flow would crowd out others.
	moved func(tasks []*task, crowding bool)

	mu      sync.Mutex
	turns   *turns
	roomFor int
	ctx     context.Context // of the attempts; nil before start and after close
	wg      sync.WaitGroup
	tidies  bool          // a look at what waits is coming
	forgot  time.Time     // when idle flows were last forgotten
	wanted  int           // that wait for room
	freed   chan struct{} // closed and renewed when there is more room, if it is wanted
}

func newDesk(slots int, attempt func(context.Context, *task) time.Duration, moved func([]*task, bool)) *desk {
	return &desk{
		attempt: attempt, moved: moved, freed: make(chan struct{}),
		turns: newTurns(limits{slots: slots, buffer: 4 * slots}), roomFor: 4 * slots / roomShare,
	}
}

// start lets attempts begin; they end with ctx.
func (d *desk) start(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ctx = ctx
}

// reserve takes room for a delivery. If there is none, own says that its flow is
// slow or has its share, and not that all others together are too many.
func (d *desk) reserve(key flowKey, now time.Time) (f *flow, own bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx == nil {
		return nil, false
	}
	f = d.turns.flow(key)
	ok, own := d.turns.reserve(f, now)
	if !ok {
		return nil, own
	}
	return f, false
}

// release gives back the room of a delivery that was not committed.
func (d *desk) release(f *flow) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turns.release(f)
	d.free()
}

// give hands over the task of a reservation, whose job is committed.
func (d *desk) give(tasks []*task) {
	d.mu.Lock()
	var late []*task
	for _, k := range tasks {
		d.turns.release(k.flow)
		if d.ctx == nil {
			late = append(late, k)
			continue
		}
		d.turns.push(k)
	}
	d.begin()
	d.lookAfter()
	d.mu.Unlock()
	if len(late) > 0 {
		d.moved(late, false)
	}
}

// begin starts what may start. The lock is held.
func (d *desk) begin() {
	if d.ctx == nil {
		return
	}
	for k := d.turns.pop(time.Now()); k != nil; k = d.turns.pop(time.Now()) {
		d.wg.Add(1)
		go d.work(d.ctx, k)
	}
}

// work makes attempts for as long as there are any whose turn it is.
func (d *desk) work(ctx context.Context, k *task) {
	defer d.wg.Done()
	for k != nil {
		k = d.end(k, d.attempt(ctx, k))
	}
}

func (d *desk) end(k *task, took time.Duration) *task {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.turns.end(k, now, took)
	if d.ctx == nil {
		return nil
	}
	next := d.turns.pop(now)
	if next != nil {
		d.begin() // a flow that was at its limit may have more than one to begin
	}
	if d.wanted > 0 && d.turns.room() >= d.roomFor {
		d.free()
	}
	return next
}

// free wakes who waits for room. The lock is held.
func (d *desk) free() {
	if d.wanted == 0 {
		return
	}
	close(d.freed)
	d.freed = make(chan struct{})
}

// room waits, a moment at most, until there is room for a claim worth its cost,
// and gives how much there is; 0 if there is none.
func (d *desk) room(ctx context.Context) int {
	timeout := time.NewTimer(roomWait)
	defer timeout.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.ctx != nil && d.turns.room() < d.roomFor {
		freed := d.freed
		d.wanted++
		d.mu.Unlock()
		var late bool
		select {
		case <-freed:
		case <-timeout.C:
			late = true
		case <-ctx.Done():
			late = true
		}
		d.mu.Lock()
		d.wanted--
		if late {
			break
		}
	}
	room := d.turns.room()
	if d.ctx == nil || room < d.roomFor/roomLeast {
		return 0
	}
	return room
}

// tidyEvery is how soon what waits behind attempts that hang is moved on.
const tidyEvery = 50 * time.Millisecond

// lookAfter sees to it that what waits does not do so for long behind attempts
// that hang. A desk where nothing waits has nothing to wake for. The lock is held.
func (d *desk) lookAfter() {
	if now := time.Now(); now.Sub(d.forgot) > time.Minute {
		d.turns.forget(d.forgot)
		d.forgot = now
	}
	if d.turns.waiting > 0 && !d.tidies {
		d.tidies = true
		time.AfterFunc(tidyEvery, d.tidy)
	}
}

// tidy moves on what waits behind slow attempts.
func (d *desk) tidy() {
	d.mu.Lock()
	d.tidies = false
	stuck := d.turns.stuck(time.Now())
	if len(stuck) > 0 {
		d.free()
	}
	d.lookAfter()
	d.mu.Unlock()
	if len(stuck) > 0 {
		d.moved(stuck, true)
	}
}

// close begins nothing any more, and moves on what waits.
func (d *desk) close() {
	d.mu.Lock()
	d.ctx = nil
	waiting := d.turns.all()
	d.free()
	d.mu.Unlock()
	if len(waiting) > 0 {
		d.moved(waiting, false)
	}
}

// load is what the metrics show.
func (d *desk) load() (running, waiting int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.turns.running, d.turns.waiting
}
