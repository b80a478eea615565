package workers

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers/action"
)

// actionJob is a delivery as a River job. All kinds of action are one kind of
// job; which executor runs it is in the arguments, and each has a queue. The
// default retry policy is left out of them.
type actionJob struct {
	minoots.Delivery

	// retryAfter carries what a receiver asked for from Work to NextRetry.
	retryAfter time.Duration
}

// Kind implements river.JobArgs.
func (actionJob) Kind() string { return "action" }

// actionWorker makes one attempt of one delivery.
type actionWorker struct {
	river.WorkerDefaults[actionJob]
	actions  Executor
	recorder *recorder
	metrics  *metrics
	clock    *db.Clock
	alive    func() bool
	log      *slog.Logger
}

// attemptError is what River is told of a failed attempt: its own error log is
// ours to keep, so this says little.
type attemptError struct{ class, text string }

func (e attemptError) Error() string { return e.class + ": " + e.text }

// Work makes an attempt, records its outcome, and tells River what to do next.
// The outcome is committed before Work returns: a crash before that repeats the
// delivery, under the same webhook-id.
func (w *actionWorker) Work(ctx context.Context, job *river.Job[actionJob]) error {
	d := &job.Args.Delivery
	if !w.alive() {
		// A process that stood still: another has this job, or soon will. Its
		// workers are about to be cut.
		<-ctx.Done()
		return ctx.Err()
	}
	if job.Attempt == 1 {
		w.metrics.startLateness.Observe(max(-w.clock.Until(d.DueAt.Time), 0).Seconds())
	}
	out := w.execute(ctx, d, job.Attempt)
	if cut := stopped(ctx); cut != nil && !out.Success {
		return cut
	}
	final := out.Success || !out.Retryable || job.Attempt >= d.Policy.Or(minoots.DefaultRetryPolicy).MaxAttempts
	w.metrics.attempted(d.Action.Kind, &out, final)
	live, err := w.recorder.record(db.OutcomeRecord{
		JobID: job.ID, Attempt: job.Attempt, Final: final, Delivery: d, Outcome: out,
	})
	if err != nil {
		return errors.Join(stopped(ctx), err)
	}
	if !live {
		// Another took this job over meanwhile, or the commit had succeeded
		// although its answer was lost. Either way it is not ours any more.
		w.metrics.superseded.Inc()
	}
	if final {
		// The record has deleted the job already; what River writes now finds
		// no row and changes nothing.
		return nil
	}
	job.Args.retryAfter = out.RetryAfter
	return attemptError{out.ErrorClass, out.Error}
}

// stopped gives the error for which River puts a job back without counting the
// attempt, if it was cut by a shutdown; nil for one that ran out of time.
func stopped(ctx context.Context) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// classPanic is the error class of an attempt that a bug of ours ended. It is
// retried: the next may meet another state of affairs, or another version.
const classPanic = "panic"

// execute makes the attempt. A panic is an outcome like any other: it has an
// attempt in the record, and harms nobody else.
func (w *actionWorker) execute(ctx context.Context, d *minoots.Delivery, attempt int) (out minoots.Outcome) {
	began := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			w.log.Error("an executor panicked", "webhook_id", d.WebhookID(), "kind", d.Action.Kind, "panic", cause, "stack", string(debug.Stack()))
			out = minoots.Outcome{
				Retryable: true, ErrorClass: classPanic, Error: "the attempt ended by a fault of the service",
				StartedAt: began, FinishedAt: time.Now(),
			}
		}
	}()
	return w.actions.Execute(ctx, *d, attempt)
}

// NextRetry implements river.Worker: the action's own policy and what the
// receiver asked for.
func (w *actionWorker) NextRetry(job *river.Job[actionJob]) time.Time {
	d := &job.Args
	return w.clock.Now().Add(action.NextDelay(d.Policy.Or(minoots.DefaultRetryPolicy), d.WebhookID(), job.Attempt, d.retryAfter))
}

// riverClock gives River the database's time where it would take this machine's:
// it computes with it when a retry is due, and the database compares. A replica
// whose clock is ahead would retry late, one that is behind at once.
type riverClock struct{ *db.Clock }

var _ rivertype.TimeGenerator = riverClock{}

// NowOrNil implements rivertype.TimeGenerator: statements use now() in SQL.
func (riverClock) NowOrNil() *time.Time { return nil }

// Timeout implements river.Worker. Executors have timeouts of their own; River
// rescues no job before this is over.
func (w *actionWorker) Timeout(job *river.Job[actionJob]) time.Duration {
	return action.Timeout(job.Args.Action) + jobMargin
}

// quiet is a slog handler that passes River's warnings and errors only: its word
// on each failed attempt, at Info, stands in our attempts and metrics.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }
