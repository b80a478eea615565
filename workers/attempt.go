package workers

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// attempter makes attempts and sees to what follows from them, for the jobs that
// River fetches and for those that are begun here.
type attempter struct {
	actions  Executor
	acks     *acknowledger
	headers  *headers
	recorder *recorder
	breaker  *breaker
	metrics  *metrics
	clock    *db.Clock
	alive    func() bool // do others take this process for alive?
	// life ends when they do not any more: then whatever runs is cut at once,
	// and waits for nobody.
	life context.Context
	log  *slog.Logger
}

// make makes one attempt and tells whether it was the last. One that awaits an
// acknowledgement is not over: see park.
func (a *attempter) make(ctx context.Context, jobID int64, d *minoots.Delivery, attempt int) (out minoots.Outcome, final bool) {
	if attempt == 1 && d.Subscription == nil {
		a.metrics.startLateness.Observe(max(-a.clock.Until(d.DueAt.Time), 0).Seconds())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.life, cancel)()
	if failed := a.acks.ask(ctx, jobID, d, attempt); failed != nil {
		out = *failed
	} else {
		out = a.execute(ctx, d, attempt)
	}
	final, _ = Judge(d, attempt, &out)
	return out, final
}

// here makes the first attempt of a task. It does not wait until the outcome is
// committed: the slot is for the next. One that was cut by a shutdown goes back
// to its queue; if that fails too, whoever finds this process gone sees to it.
func (a *attempter) here(ctx context.Context, k *task, cut func(*task)) (took time.Duration) {
	d := &k.delivery
	if !a.alive() {
		// A process that stood still: another has this job, or soon will.
		cut(k)
		return 0
	}
	key := flowKey{k.flow.tenant, k.flow.destination}
	if a.breaker.heldBack(key, k.jobID, 1) {
		return 0
	}
	out, final := a.make(ctx, k.jobID, d, 1)
	if (stopped(ctx) != nil || a.life.Err() != nil) && !out.Success {
		cut(k)
		return 0
	}
	if awaits(d, &out) {
		a.breaker.ended(key, d.Action.Kind, &out)
		a.acks.park(ctx, d, &out)
		return out.FinishedAt.Sub(out.StartedAt)
	}
	a.metrics.attempted(d.Action.Kind, &out, final)
	a.breaker.ended(key, d.Action.Kind, &out)
	rec := db.OutcomeRecord{JobID: k.jobID, Attempt: 1, Final: final, Delivery: d, Outcome: out}
	if !final {
		rec.RetryAt = a.nextRetry(d, 1, out.RetryAfter)
	}
	a.recorder.submit(rec)
	return out.FinishedAt.Sub(out.StartedAt)
}

// nextRetry is when to try again: by the action's own policy and what the
// receiver asked for. After a redrive it begins with the first wait again.
func (a *attempter) nextRetry(d *minoots.Delivery, attempt int, asked time.Duration) time.Time {
	_, wait := Judge(d, attempt, &minoots.Outcome{Retryable: true, RetryAfter: asked})
	return a.clock.Now().Add(max(wait, time.Millisecond)) // River refuses what is not to come
}

// classPanic is the error class of an attempt that a bug of ours ended. It is
// retried: the next may meet another state of affairs, or another version.
const classPanic = "panic"

// execute makes the attempt. A panic is an outcome like any other: it has an
// attempt in the record, and harms nobody else.
func (a *attempter) execute(ctx context.Context, d *minoots.Delivery, attempt int) (out minoots.Outcome) {
	began := a.clock.Now()
	defer func() {
		if cause := recover(); cause != nil {
			a.log.Error("an executor panicked", "webhook_id", d.WebhookID(), "kind", d.Action.Kind, "panic", cause, "stack", string(debug.Stack()))
			out = minoots.Outcome{
				Retryable: true, ErrorClass: classPanic, Error: "the attempt ended by a fault of the service",
				StartedAt: began, FinishedAt: a.clock.Now(),
			}
		}
	}()
	with := *d
	if of := d.Subscription; of != nil && of.Sealed > 0 {
		var failed *minoots.Outcome
		if with, failed = a.headers.put(ctx, d); failed != nil {
			failed.StartedAt, failed.FinishedAt = began, a.clock.Now()
			return *failed
		}
	}
	return a.actions.Execute(ctx, with, attempt)
}
