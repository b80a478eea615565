package workers

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// attempt makes the attempt of a job that was taken, and waits until its outcome
// is committed: a slot of its destination is free only then. One that was cut goes
// back to wait.
func (p *pump) attempt(ctx context.Context, queue string, state minoots.BreakerState, job *db.TakenJob) {
	a, held := p.attempts, db.HeldJob{ID: job.ID, Attempt: job.Attempt, Queue: queue}
	args := actionJob{}
	if err := json.Unmarshal(job.Args, &args); err != nil {
		// Only a hand in SQL does that. River ends such a job, and then it is noticed.
		p.b.log.Error("a job's arguments cannot be read", "job", job.ID, "error", err)
		held.Queue = string(minoots.KindWebhook)
		p.b.holder.put(held)
		return
	}
	d := &args.Delivery
	if !slices.Contains(p.b.actions.Kinds(), d.Action.Kind) {
		held.Queue = string(d.Action.Kind) // a replica with other settings fetches it there
		p.b.holder.put(held)
		return
	}
	if !a.alive() {
		p.b.holder.put(held)
		return
	}
	out, final := a.make(ctx, job.ID, d, job.Attempt)
	if (stopped(ctx) != nil || a.life.Err() != nil) && !out.Success {
		p.b.holder.put(held)
		return
	}
	if awaits(d, &out) {
		// The destination has answered, which is what it is judged by, and its slot is free.
		a.acks.park(ctx, d, &out)
		p.b.tried(queue, keyOf(p.b.actions, d), d.Action.Kind, state, &out)
		return
	}
	a.metrics.attempted(d.Action.Kind, &out, final)
	rec := db.OutcomeRecord{JobID: job.ID, Attempt: job.Attempt, Final: final, Delivery: d, Outcome: out}
	if !final {
		rec.RetryAt = a.nextRetry(d, job.Attempt, out.RetryAfter)
	}
	// What is not recorded is repeated: the recorder has said so.
	_ = a.recorder.record(rec)
	p.b.tried(queue, keyOf(p.b.actions, d), d.Action.Kind, state, &out)
	if !final {
		p.at(queue, time.Now().Add(time.Until(rec.RetryAt)))
	}
}

// tried takes in the outcome of an attempt that was let through while its
// destination was in some state.
func (b *breaker) tried(queue string, key flowKey, kind minoots.ActionKind, state minoots.BreakerState, out *minoots.Outcome) {
	v := judge(kind, out)
	probe := state == minoots.BreakerOpen || state == minoots.BreakerHalfOpen
	switch {
	case probe && v == sick:
		b.open(key, 1, out)
	case probe && v == healthy:
		b.recover(key)
	case probe: // it said nothing: the next one may
		b.pump.at(queue, time.Now().Add(probePoll))
	case v == sick || v == healthy && b.health.counts():
		b.count(key, v, out)
	}
}

// heldBack puts a job back to wait for its destination, if that is what it is to
// do, before its attempt begins.
func (b *breaker) heldBack(key flowKey, id int64, attempt int) bool {
	g := b.gates.of(key)
	if g == nil {
		return false
	}
	b.holder.put(db.HeldJob{ID: id, Attempt: attempt, Queue: g.queue})
	return true
}

// heldFetched is the same for a job that River has fetched: its worker must wait
// until that is committed, since River's own word on the job comes then.
func (b *breaker) heldFetched(ctx context.Context, d *minoots.Delivery, id int64, attempt int) (bool, error) {
	if b.gates.none() {
		return false, nil
	}
	g := b.gates.of(keyOf(b.actions, d))
	if g == nil {
		return false, nil
	}
	err := b.holder.wait(ctx, db.HeldJob{ID: id, Attempt: attempt, Queue: g.queue})
	if errors.Is(err, context.DeadlineExceeded) {
		err = river.JobSnooze(time.Second) // Postgres is away: no attempt was made
	}
	return true, err
}

// fetchedEnded is ended for a job that River has fetched, whose flow is looked for
// only if it matters.
func (b *breaker) fetchedEnded(d *minoots.Delivery, out *minoots.Outcome) {
	if v := judge(d.Action.Kind, out); v == sick || v == healthy && b.health.counts() {
		b.ended(keyOf(b.actions, d), d.Action.Kind, out)
	}
}
