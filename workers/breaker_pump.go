package workers

import (
	"context"
	"sync"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	// probeLease is how long a probe is waited for. An action may take longer: then
	// a second one is made beside it.
	probeLease = 30 * time.Second
	// takeGap is the least time between two questions for the same destination while
	// its rate or its recovery bounds it: what they allow meanwhile begins in one
	// block.
	takeGap = 50 * time.Millisecond
	// slotPoll is for destinations whose attempts are under way at other replicas,
	// and probePoll for those that another replica tries.
	slotPoll  = 250 * time.Millisecond
	probePoll = 2 * time.Second
	// takeTimeout is the deadline of one question.
	takeTimeout = 5 * time.Second
	// takeRetry is the wait after Postgres did not answer.
	takeRetry = time.Second
)

// pump takes deliveries that wait for their destinations, as these allow, and
// makes their attempts: probes, the first ones after an outage, and all of those
// with limits.
type pump struct {
	b        *breaker
	attempts *attempter
	slots    int // attempts under way at once
	woken    chan struct{}
	wg       sync.WaitGroup

	mu    sync.Mutex
	total int
	lines map[string]*line // by queue
}

// line is what waits for one destination, as far as this replica is concerned.
type line struct {
	next    time.Time      // when to ask Postgres; zero for not before something happens
	more    bool           // something may wait, and next says when it can be had
	full    bool           // as many are under way as may be: the end of one is worth a question
	unsure  bool           // what Postgres took may not be known here: its answer was lost
	running map[int64]bool // jobs, by id
}

// size is how many attempts are under way.
func (l *line) size() int { return len(l.running) }

func newPump(b *breaker, attempts *attempter, slots int) *pump {
	return &pump{b: b, attempts: attempts, slots: slots, woken: make(chan struct{}, 1), lines: map[string]*line{}}
}

// run takes until ctx is done. The attempts are made in work, and waited for.
func (p *pump) run(ctx, work context.Context) {
	defer p.wg.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		queues, next := p.due(time.Now())
		for _, queue := range queues {
			if ctx.Err() != nil {
				return
			}
			p.take(ctx, work, queue)
		}
		if len(queues) > 0 {
			continue
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-p.woken:
		case <-timer.C:
		}
	}
}

// due gives the lines to ask for now, or how long there is none.
func (p *pump) due(now time.Time) (queues []string, next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next = time.Hour
	for queue, l := range p.lines {
		switch wait := l.next.Sub(now); {
		case l.next.IsZero():
			if !l.more && !l.unsure && l.size() == 0 {
				delete(p.lines, queue)
			}
		case wait <= 0:
			// What comes while Postgres is asked must be able to set next anew.
			l.next, l.more, l.full = time.Time{}, false, false
			queues = append(queues, queue)
		default:
			next = min(next, wait)
		}
	}
	return queues, next
}

func (p *pump) wakeUp() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

func (p *pump) line(queue string) *line {
	l := p.lines[queue]
	if l == nil {
		l = &line{running: map[int64]bool{}}
		p.lines[queue] = l
	}
	return l
}

// at asks for a line at that time, if not before.
func (p *pump) at(queue string, when time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.line(queue); l.next.IsZero() || when.Before(l.next) {
		l.next = when
		p.wakeUp()
	}
}

// wake asks for lines in which something waits, unless it is known when that can
// be had.
func (p *pump) wake(queues map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for queue := range queues {
		if l := p.line(queue); l.next.IsZero() && !l.more {
			l.next = time.Now()
			p.wakeUp()
		}
	}
}

// placed looks for such lines among the queues of new jobs.
func (p *pump) placed(jobs []db.Job) {
	var queues map[string]bool
	for i := range jobs {
		if db.IsHeld(jobs[i].Queue) {
			if queues == nil {
				queues = map[string]bool{}
			}
			queues[jobs[i].Queue] = true
		}
	}
	if queues != nil {
		p.wake(queues)
	}
}

// room is how many attempts of a line may begin: half of what the others leave, so
// that there is always a slot for another line's first.
func (p *pump) room(queue string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.roomLocked(p.line(queue))
}

func (p *pump) roomLocked(l *line) int {
	share := max(1, (p.slots-p.total+l.size())/2)
	return max(0, min(share-l.size(), p.slots-p.total))
}

// begin begins the attempt of a job that was taken.
func (p *pump) begin(work context.Context, queue string, state minoots.BreakerState, job *db.TakenJob) {
	p.mu.Lock()
	p.total++
	p.line(queue).running[job.ID] = true
	p.mu.Unlock()
	p.wg.Go(func() {
		defer p.end(queue, job.ID)
		p.attempt(work, queue, state, job)
	})
}

// end asks for more, if more is there.
func (p *pump) end(queue string, id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	delete(p.line(queue).running, id)
	for name, l := range p.lines {
		if l.more && (l.next.IsZero() || l.full && name == queue) {
			l.next = time.Now()
			p.wakeUp()
		}
	}
}
