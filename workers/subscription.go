package workers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// subscriptionJob is an event on its way to a subscription. It is a kind of its
// own because it is of no firing: what looks after those finds jobs by their kind.
// Its arguments are an action's, and so is all that happens to it but for the
// statement that records its outcome.
type subscriptionJob struct{ actionJob }

// Kind implements river.JobArgs.
func (subscriptionJob) Kind() string { return db.SubscriptionQueue }

// subscriptionWorker makes the attempts of events' deliveries, as actionWorker
// makes those of actions.
type subscriptionWorker struct {
	of    actionWorker
	share *share
}

var _ river.Worker[subscriptionJob] = (*subscriptionWorker)(nil)

// job gives the job as an action's. What Work notes in its arguments for
// NextRetry, it finds there: the two share them.
func (*subscriptionWorker) job(job *river.Job[subscriptionJob]) *river.Job[actionJob] {
	return &river.Job[actionJob]{JobRow: job.JobRow, Args: job.Args.actionJob}
}

// Work implements river.Worker. In the queue that all subscriptions share, each has
// its share of the workers.
func (w *subscriptionWorker) Work(ctx context.Context, job *river.Job[subscriptionJob]) error {
	as := w.job(job)
	if job.Queue == db.SubscriptionQueue && w.of.alive() {
		end, ok := w.share.begin(&as.Args.Delivery)
		if !ok {
			return w.share.apart(ctx, &as.Args.Delivery, job.JobRow)
		}
		defer end()
	}
	err := w.of.Work(ctx, as)
	job.Args.retryAfter = as.Args.retryAfter
	return err
}

// NextRetry implements river.Worker.
func (w *subscriptionWorker) NextRetry(job *river.Job[subscriptionJob]) time.Time {
	return w.of.NextRetry(w.job(job))
}

// Timeout implements river.Worker.
func (w *subscriptionWorker) Timeout(job *river.Job[subscriptionJob]) time.Duration {
	return w.of.Timeout(w.job(job))
}

// Middleware implements river.Worker.
func (w *subscriptionWorker) Middleware(job *rivertype.JobRow) []rivertype.WorkerMiddleware {
	return w.of.Middleware(job)
}

func newSubscriptionDeliveries() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "minoots_subscription_deliveries_total",
		Help: "Events that a subscription was sent, by how that ended: delivered, or failed for good.",
	}, []string{"outcome"})
	for _, s := range []minoots.DeliveryStatus{minoots.DeliveryDelivered, minoots.DeliveryFailed} {
		v.WithLabelValues(string(s))
	}
	return v
}

// subscriptionEnded counts an outcome that is committed, if it was the last.
func (m *metrics) subscriptionEnded(r *db.OutcomeRecord) {
	switch {
	case r.Outcome.Success:
		m.subscriptions.WithLabelValues(string(minoots.DeliveryDelivered)).Inc()
	case r.Final:
		m.subscriptions.WithLabelValues(string(minoots.DeliveryFailed)).Inc()
	}
}
