package workers

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots"
)

// metrics are the workers'. docs/metrics.md says what each is for.
type metrics struct {
	startLateness prometheus.Histogram
	attempts      *prometheus.CounterVec
	seconds       *prometheus.HistogramVec
	group         prometheus.Histogram
	groupSeconds  prometheus.Histogram
	recordRetries prometheus.Counter
	recordErrors  prometheus.Counter
	superseded    prometheus.Counter
	present       prometheus.Gauge
	losses        prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		startLateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "minoots_delivery_lateness_seconds", Help: "From a timer's due instant to the start of an action's first attempt.",
			Buckets: []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 600},
		}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "minoots_attempts_total", Help: "Attempts, by kind of action, outcome (succeeded, retrying, failed) and error class.",
		}, []string{"kind", "outcome", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "minoots_attempt_seconds", Help: "Time of one attempt, by kind of action.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"kind"}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "minoots_recorder_group_outcomes", Help: "Outcomes committed by one transaction.",
			Buckets: []float64{1, 2, 5, 10, 25, 50, 100, 250, 500},
		}),
		groupSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "minoots_recorder_seconds", Help: "Time to commit one group of outcomes, retries included.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, 1, 5, 30},
		}),
		recordRetries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_recorder_retries_total", Help: "Groups tried again because Postgres did not answer.",
		}),
		recordErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_recorder_errors_total", Help: "Groups given up; their actions are repeated.",
		}),
		superseded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_outcomes_superseded_total", Help: "Outcomes that changed nothing, because their job was no longer theirs.",
		}),
		present: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_presence_up", Help: "1 while this process is registered as alive and its workers run.",
		}),
		losses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_presence_losses_total", Help: "Times that this process could not prove that it is alive, and cut its actions.",
		}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.startLateness, m.attempts, m.seconds, m.group, m.groupSeconds, m.recordRetries, m.recordErrors, m.superseded,
		m.present, m.losses,
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// attempted counts one attempt.
func (m *metrics) attempted(kind minoots.ActionKind, out *minoots.Outcome, final bool) {
	status := minoots.AttemptRetrying
	switch {
	case out.Success:
		status = minoots.AttemptSucceeded
	case final:
		status = minoots.AttemptFailed
	}
	m.attempts.WithLabelValues(string(kind), string(status), out.ErrorClass).Inc()
	m.seconds.WithLabelValues(string(kind)).Observe(out.FinishedAt.Sub(out.StartedAt).Seconds())
}

// recorded counts one group.
func (m *metrics) recorded(outcomes int, took time.Duration) {
	m.group.Observe(float64(outcomes))
	m.groupSeconds.Observe(took.Seconds())
}
