package workers

import (
	"context"
	"errors"
	"log/slog"
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

// actionWorker makes the attempts of the jobs that River fetches.
type actionWorker struct {
	river.WorkerDefaults[actionJob]
	*attempter
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
	if held, err := w.breaker.heldFetched(ctx, d, job.ID, job.Attempt); held {
		return err
	}
	out, final := w.make(ctx, job.ID, d, job.Attempt)
	if w.life.Err() != nil && !out.Success {
		<-ctx.Done() // as above
	}
	if cut := stopped(ctx); cut != nil && !out.Success {
		return cut
	}
	if awaits(d, &out) {
		// The parked job is another row: what River writes of this one finds none.
		w.breaker.fetchedEnded(d, &out)
		w.acks.park(ctx, d, &out)
		return nil
	}
	w.metrics.attempted(d.Action.Kind, &out, final)
	w.breaker.fetchedEnded(d, &out)
	err := w.recorder.record(db.OutcomeRecord{
		JobID: job.ID, Attempt: job.Attempt, Final: final, Delivery: d, Outcome: out,
	})
	if err != nil {
		return errors.Join(stopped(ctx), err)
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

// NextRetry implements river.Worker: the action's own policy and what the
// receiver asked for.
func (w *actionWorker) NextRetry(job *river.Job[actionJob]) time.Time {
	return w.nextRetry(&job.Args.Delivery, job.Attempt, job.Args.retryAfter)
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
