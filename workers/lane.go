package workers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// A lane is a queue of River's for the flows that would crowd out others in the
// queue of their kind: a slow receiver's, or a great herd's. It has few workers
// in each replica, and exists while it has jobs.
const (
	// crowdFrom is how many deliveries a second of one flow may go to the shared
	// queue; more go to its lane.
	crowdFrom = 200
	// laneEvery is how often lanes are looked for that other replicas have filled.
	// One that has had no jobs waiting for laneIdle is left.
	laneEvery = 2 * time.Second
	laneIdle  = time.Minute
	// laneGap is how long the first jobs of a new lane wait for it to be opened.
	laneGap = 50 * time.Millisecond
)

// laneOf names the lane of a flow.
func laneOf(kind minoots.ActionKind, key flowKey) string {
	return fmt.Sprintf("%s-%d", kind, db.LaneNumber(key.tenant, key.destination))
}

// isLane tells a lane's name from that of a kind's queue, and of one in which
// deliveries wait for their destination.
func isLane(queue string) bool { return strings.Contains(queue, "-") && !db.IsHeld(queue) }

// crowd counts the deliveries that go to shared queues, by flow and second.
type crowd struct {
	mu    sync.Mutex
	since time.Time
	sent  map[flowKey]int
}

func newCrowd() *crowd { return &crowd{sent: map[flowKey]int{}} }

// joins counts a delivery and tells whether its flow is a crowd by now.
func (c *crowd) joins(key flowKey, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.since) > time.Second {
		c.since = now
		clear(c.sent)
	}
	c.sent[key]++
	return c.sent[key] > crowdFrom
}

// laneKeeper has River fetch from the lanes that have jobs, and from the queues of
// kinds that it does not fetch from all the time; see queue.go.
type laneKeeper struct {
	w      *Workers
	filled chan struct{}    // has a token when this replica has filled one
	lanes  map[string]*lane // those that are open, by name
	// missing is when it was last told that jobs wait which this process cannot
	// perform, by queue.
	missing map[string]time.Time
}

func newLaneKeeper(w *Workers) *laneKeeper {
	return &laneKeeper{w: w, filled: make(chan struct{}, 1), lanes: map[string]*lane{}, missing: map[string]time.Time{}}
}

// soon has lanes looked for at once.
func (l *laneKeeper) soon() {
	select {
	case l.filled <- struct{}{}:
	default:
	}
}

// placed looks for queues among those of new jobs that are not open all the time.
func (l *laneKeeper) placed(jobs []db.Job) {
	for i := range jobs {
		if !jobs[i].Here && !isOpen(jobs[i].Queue) && !db.IsHeld(jobs[i].Queue) {
			l.soon()
			return
		}
	}
}

type lane struct {
	filled  time.Time // when it was last seen to have jobs
	leaving bool      // asked to end, while attempts were still under way
}

// run looks for lanes until ctx is done.
func (l *laneKeeper) run(ctx context.Context) {
	tick := time.NewTicker(laneEvery)
	defer tick.Stop()
	for {
		if err := l.look(ctx); err != nil && ctx.Err() == nil {
			l.w.log.Warn("lanes not looked for; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.filled:
			// Not at once for each transaction of a storm.
			select {
			case <-ctx.Done():
				return
			case <-time.After(laneGap):
			}
		case <-tick.C:
		}
	}
}

func (l *laneKeeper) look(ctx context.Context) error {
	step, cancel := context.WithTimeout(ctx, laneEvery)
	defer cancel()
	turn := l.w.breaker.gates.look()
	found, subscriptions, err := l.w.cfg.DB.LanePage(step)
	if err != nil {
		return err
	}
	if l.w.cfg.Subscriptions != nil {
		l.w.cfg.Subscriptions(subscriptions)
	}
	l.w.breaker.learned(ctx, turn, found)
	now := time.Now()
	for i := range found {
		name := found[i].Queue
		if db.IsHeld(name) {
			continue
		}
		if open := l.lanes[name]; open != nil {
			open.filled = now
			continue
		}
		if err := l.open(name, now); err != nil {
			return err
		}
	}
	l.leave(step, now)
	open := 0
	for name := range l.lanes {
		if isLane(name) {
			open++
		}
	}
	l.w.metrics.lanes.Set(float64(open))
	return nil
}

// open has River fetch from a queue or lane, unless this process lacks the kind.
func (l *laneKeeper) open(name string, now time.Time) error {
	workers := l.w.queueWorkers(name)
	if workers == 0 {
		if now.Sub(l.missing[name]) > laneIdle {
			l.missing[name] = now
			l.w.log.Warn("jobs wait that this replica cannot perform; a replica with other settings can", "kind", kindOf(name))
		}
		return nil
	}
	if err := l.w.client.Queues().Add(name, river.QueueConfig{MaxWorkers: workers}); err != nil {
		return fmt.Errorf("open queue %s: %w", name, err)
	}
	l.lanes[name] = &lane{filled: now}
	if isLane(name) {
		l.w.log.Info("lane opened: a slow receiver's deliveries, or very many at once, wait apart from the others", "lane", name)
	}
	return nil
}

// leave closes the lanes that have had no jobs for a while. River waits for
// attempts under way; what does not end in time is asked again.
func (l *laneKeeper) leave(ctx context.Context, now time.Time) {
	for name, open := range l.lanes {
		if !open.leaving && now.Sub(open.filled) < laneIdle {
			continue
		}
		open.leaving = true
		if err := l.w.client.Queues().Remove(ctx, name); err != nil {
			continue
		}
		delete(l.lanes, name)
		if isLane(name) {
			l.w.log.Info("lane closed", "lane", name)
		}
	}
}
