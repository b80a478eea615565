package kernel

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// firstBatch is small, so that the first deliveries of a burst are on their way
// while the rest is being claimed; each further batch of a stream is twice the one
// before, up to Config.Batch, because great batches cost less a timer.
const firstBatch = 50

// drain fires what is due from the low-water mark on. What is more than a small
// batch is left to streams of its own (backlog.go), so that what comes due next
// does not wait behind a herd. It gives the database's time at the claim, or the
// zero time if that fired nothing.
func (k *Kernel) drain(ctx context.Context, low time.Time) (until time.Time, err error) {
	from := k.backlog.from(low)
	c, err := k.fire(ctx, from, min(firstBatch, k.cfg.Batch), k.plan)
	switch {
	case minoots.ErrorCode(err) == minoots.CodeInvalid:
		return k.isolate(ctx, from)
	case err != nil:
		k.backlog.hinted(from)
		return until, err
	case c.full:
		k.backlog.grow(ctx, k, c)
	case from.Equal(low):
		k.low.raiseTo(c.began)
	}
	return c.at, nil
}

// catch is what one fire transaction did.
type catch struct {
	began time.Time  // by the clock, before the claim was sent
	at    time.Time  // the database's time, zero if it fired none
	full  bool       // there may be more
	next  time.Time  // where the same stream goes on: it left nothing below
	alone minoots.ID // the timer of a claim of one that failed
}

type planFunc func(ctx context.Context, tx db.Tx, fired []db.Fired) (*db.JobBatch, error)

// fire runs one fire transaction.
func (k *Kernel) fire(ctx context.Context, low time.Time, limit int, plan planFunc) (catch, error) {
	ctx, cancel := k.finishing(ctx)
	defer cancel()
	began, c := time.Now(), catch{began: k.clock.Now(), next: low}
	var claim db.ClaimReport
	fired, err := k.db.TimerClaim(ctx, db.ClaimRequest{LowWater: low, Limit: limit, Report: &claim}, plan)
	if err != nil {
		if limit == 1 && len(fired) == 1 {
			c.alone = fired[0].ID
		}
		return c, fmt.Errorf("fire due timers: %w", err)
	}
	k.metrics.claimed(fired, claim, time.Since(began))
	if claim.Taken > 0 {
		c.at, c.full, c.next = claim.At, claim.Taken == limit || claim.Left, claim.Last
	}
	if claim.Left {
		c.next = low // some of them are due before the last
	}
	k.rearmed(claim)
	return c, nil
}

// rearmed tells the loop when the recurring timers of a claim are due again, as
// far as the heap looks ahead. A kernel with a higher seat tells the others too: it
// has claimed in place of seat 0, which may not know of these timers, and would
// itself claim them late each time, or, if it is gone by then, nobody until a poll.
// Seat 0 need not: the others are there for what it knows and does not claim.
func (k *Kernel) rearmed(claim db.ClaimReport) {
	ahead := claim.At.Add(db.LookAhead + refreshEvery)
	near := slices.DeleteFunc(claim.Next, func(at time.Time) bool { return at.After(ahead) })
	if len(near) == 0 {
		return
	}
	k.in.due(near, false)
	if k.seat.Load() > 0 {
		k.others.HintRearmed(near)
	}
}

func (k *Kernel) plan(ctx context.Context, _ db.Tx, fired []db.Fired) (*db.JobBatch, error) {
	for i := range fired {
		if fired[i].Unreadable != nil {
			return nil, fired[i].Unreadable
		}
	}
	if first := deliveries(fired); len(first) > 0 {
		return k.cfg.Planner.Plan(ctx, first)
	}
	return nil, nil
}

// deliveries lists the first deliveries of each firing: as many as its bundle
// runs at once.
func deliveries(fired []db.Fired) []minoots.Delivery {
	out := make([]minoots.Delivery, 0, len(fired))
	for i := range fired {
		f := &fired[i]
		if f.Actions == 0 {
			continue
		}
		firing := minoots.Delivery{
			TenantID: f.TenantID,
			Timer: minoots.DeliveryTimer{
				ID: f.ID, Name: f.Name, RequestedBy: f.RequestedBy, Labels: f.Labels, Metadata: f.Metadata,
			},
			Occurrence: f.Occurrence,
			DueAt:      minoots.Instant{Time: f.DueAt}, FiredAt: minoots.Instant{Time: f.FiredAt},
			AgentBinding: f.AgentBinding, Recurring: f.Recurring,
		}
		for _, action := range f.Bundle.Actions[:min(max(f.Bundle.Concurrency, 1), len(f.Bundle.Actions))] {
			out = append(out, f.Bundle.Delivers(action, firing))
		}
	}
	return out
}
