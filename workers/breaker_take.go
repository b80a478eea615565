package workers

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// take asks for what waits in a line.
func (p *pump) take(ctx, work context.Context, queue string) {
	want := p.room(queue)
	if want == 0 {
		p.then(queue, line{more: true}, 0)
		return
	}
	// A stop does not end it in the middle: nobody would know what was taken.
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeTimeout)
	defer cancel()
	if err := p.sure(step, queue); err != nil {
		p.failed(ctx, queue, err)
		return
	}
	t, err := p.b.db.DestinationTake(step, p.b.replica, queue, want, probeLease)
	switch {
	case err != nil:
		p.failed(ctx, queue, err)
		return
	case !t.Known:
		p.then(queue, line{}, 0)
		p.b.soon() // it is ordinary again
		return
	}
	for i := range t.Jobs {
		p.begin(work, queue, t.State, &t.Jobs[i])
	}
	drained := len(t.Jobs) < t.May
	if t.Recovered || drained && t.State == minoots.BreakerRecovering {
		if g := p.b.gates.inQueue(queue); g != nil {
			p.b.close(ctx, g.key)
		}
	}
	switch {
	case drained:
		p.then(queue, line{}, 0)
	case len(t.Jobs) == want:
		p.then(queue, line{more: true}, 0)
	default:
		after := pause(&t)
		p.then(queue, line{more: true, full: after == slotPoll}, after)
	}
}

// failed takes in that Postgres did not answer.
func (p *pump) failed(ctx context.Context, queue string, err error) {
	if ctx.Err() == nil {
		p.b.log.Warn("what waits for a destination not asked for; trying again", "error", err)
	}
	p.mu.Lock()
	p.line(queue).unsure = true
	p.mu.Unlock()
	p.then(queue, line{more: true}, takeRetry)
}

// sure puts back what a take whose answer was lost has left as running here.
func (p *pump) sure(ctx context.Context, queue string) error {
	p.mu.Lock()
	unsure := p.line(queue).unsure
	p.mu.Unlock()
	if !unsure {
		return nil
	}
	mine, err := p.b.db.DestinationMine(ctx, p.b.replica, queue)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.line(queue)
	l.unsure = false
	for _, job := range mine {
		if !l.running[job.ID] {
			p.b.holder.put(job)
		}
	}
	return nil
}

// pause is how long a line waits that its breaker or its limits bound.
func pause(t *db.Taken) time.Duration {
	switch t.State {
	case minoots.BreakerOpen, minoots.BreakerHalfOpen:
		switch {
		case len(t.Jobs) > 0:
			return probeLease
		case t.State == minoots.BreakerHalfOpen:
			return probePoll
		case t.ProbeIn > 0:
			return t.ProbeIn + rand.N(takeGap) // for not all replicas to ask at once
		}
	case minoots.BreakerRecovering:
		return 2 * takeGap
	}
	if t.TokenIn > 0 { // the limit may be another soon
		return min(max(t.TokenIn, takeGap), probePoll)
	}
	return slotPoll
}

// then says how it goes on with a line: more waits there, to be had after a while,
// or, without one, as soon as there is room; or no more does.
func (p *pump) then(queue string, now line, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.line(queue)
	l.more, l.full = now.more, now.full
	switch {
	case !l.more: // what has come meanwhile has set next
	case after > 0:
		if next := time.Now().Add(after); l.next.IsZero() || next.Before(l.next) {
			l.next = next
		}
	case p.roomLocked(l) > 0:
		l.next = time.Now()
	}
}
