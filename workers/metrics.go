package workers

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
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
	deadLetters   *prometheus.CounterVec
	subscriptions *prometheus.CounterVec
	escalations   *prometheus.CounterVec
	placements    *prometheus.CounterVec
	movedOn       prometheus.Counter
	lanes         prometheus.Gauge
	desks         *deskGauges
	breaker       *breakerMetrics
	present       prometheus.Gauge
	losses        prometheus.Counter
	awaited       prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		desks:         &deskGauges{},
		subscriptions: newSubscriptionDeliveries(),
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
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "minoots_dead_letters_total", Help: "Actions that ran out of attempts and of escalation, by kind; a redrive that fails counts again.",
		}, []string{"kind"}),
		escalations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "minoots_escalations_total", Help: "Actions that failed and were taken over by their escalation, by their kind.",
		}, []string{"kind"}),
		placements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "minoots_deliveries_placed_total", Help: "Deliveries by where they were to run: here at once, in the queue of all, in a lane, held for their destination.",
		}, []string{"place"}),
		movedOn: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_deliveries_moved_total", Help: "Deliveries put into a queue that were to run here: behind a slow receiver, or at a stop.",
		}),
		lanes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_lanes_open", Help: "Lanes that this replica fetches from.",
		}),
		present: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_presence_up", Help: "1 while this process is registered as alive and its workers run.",
		}),
		losses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_presence_losses_total", Help: "Times that this process could not prove that it is alive, and cut its actions.",
		}),
	}
	m.awaited = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "minoots_acknowledgements_awaited_total", Help: "Deliveries that an agent's receiver has taken on, and that wait for its acknowledgement.",
	})
	for _, place := range []string{placeHere, placeQueue, placeLane, placeHeld} {
		m.placements.WithLabelValues(place)
	}
	for _, kind := range minoots.ActionKinds { // an alert wants a 0 to grow from
		m.deadLetters.WithLabelValues(string(kind))
		m.escalations.WithLabelValues(string(kind))
	}
	var errs []error
	var err error
	m.breaker, err = newBreakerMetrics(reg)
	errs = append(errs, err)
	for _, c := range []prometheus.Collector{
		m.startLateness, m.attempts, m.seconds, m.group, m.groupSeconds, m.recordRetries, m.recordErrors, m.superseded,
		m.deadLetters, m.escalations, m.subscriptions,
		m.placements, m.movedOn, m.lanes, m.desks,
		m.present, m.losses, m.awaited,
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

// ended counts an outcome that is committed and was the last of its action.
func (m *metrics) ended(r *db.OutcomeRecord) {
	if r.Delivery.Subscription != nil {
		m.subscriptionEnded(r)
		return
	}
	if !r.Final || r.Outcome.Success {
		return
	}
	to := m.deadLetters
	if r.Delivery.EscalatesTo() != nil {
		to = m.escalations
	}
	to.WithLabelValues(string(r.Delivery.Action.Kind)).Inc()
}

// recorded counts one group.
func (m *metrics) recorded(outcomes int, took time.Duration) {
	m.group.Observe(float64(outcomes))
	m.groupSeconds.Observe(took.Seconds())
}

// Where a delivery is to run.
const (
	placeHere  = "here"
	placeQueue = "queue"
	placeLane  = "lane"
	placeHeld  = "held"
)

// placed counts the jobs of a transaction.
func (m *metrics) placed(jobs []db.Job) {
	var here, lane, held float64
	for i := range jobs {
		switch {
		case jobs[i].Here:
			here++
		case isLane(jobs[i].Queue):
			lane++
		case db.IsHeld(jobs[i].Queue):
			held++
		}
	}
	m.placements.WithLabelValues(placeHere).Add(here)
	m.placements.WithLabelValues(placeLane).Add(lane)
	m.placements.WithLabelValues(placeHeld).Add(held)
	m.placements.WithLabelValues(placeQueue).Add(float64(len(jobs)) - here - lane - held)
}

// deskGauges shows how full the desks of the present life are, when somebody asks.
type deskGauges struct {
	desks atomic.Pointer[map[minoots.ActionKind]*desk]
}

func (g *deskGauges) show(desks map[minoots.ActionKind]*desk) { g.desks.Store(&desks) }

var (
	runningHere = prometheus.NewDesc("minoots_deliveries_running", "Attempts under way of deliveries that began here at once.", []string{"kind"}, nil)
	waitingHere = prometheus.NewDesc("minoots_deliveries_waiting", "Deliveries that wait here for a slot.", []string{"kind"}, nil)
)

// Describe implements prometheus.Collector.
func (g *deskGauges) Describe(to chan<- *prometheus.Desc) { to <- runningHere; to <- waitingHere }

// Collect implements prometheus.Collector.
func (g *deskGauges) Collect(to chan<- prometheus.Metric) {
	desks := g.desks.Load()
	if desks == nil {
		return
	}
	for kind, k := range *desks {
		running, waiting := k.load()
		to <- prometheus.MustNewConstMetric(runningHere, prometheus.GaugeValue, float64(running), string(kind))
		to <- prometheus.MustNewConstMetric(waitingHere, prometheus.GaugeValue, float64(waiting), string(kind))
	}
}
