package kernel

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots/db"
)

// metrics are the kernel's. docs/metrics.md says what each is for.
type metrics struct {
	lateness     prometheus.Histogram
	claims       *prometheus.CounterVec
	claimSeconds prometheus.Histogram
	batch        prometheus.Histogram
	fired        prometheus.Counter
	found        prometheus.Counter
	refused      prometheus.Counter
	skipped      prometheus.Counter
	errors       *prometheus.CounterVec
	backlog      prometheus.Gauge
	oldest       prometheus.Gauge
	sweep        prometheus.Gauge
	heap         prometheus.Gauge
	seat         prometheus.Gauge
	listening    prometheus.Gauge
	lost         prometheus.Counter
	redispatched prometheus.Counter
	abandoned    prometheus.Counter
	expired      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, clock *db.Clock) (*metrics, error) {
	m := &metrics{
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "minoots_fire_lateness_seconds", Help: "From a timer's due instant to its fire transaction, by the database's clock.",
			Buckets: []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 600},
		}),
		claims: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "minoots_claims_total", Help: "Claim statements, by whether they found timers.",
		}, []string{"result"}),
		claimSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "minoots_claim_seconds", Help: "Time of one fire transaction, from BEGIN to commit.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, 1, 5},
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "minoots_claim_batch_timers", Help: "Timers fired by one fire transaction that found any.",
			Buckets: []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000},
		}),
		fired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_timers_fired_total", Help: "Timers fired by this replica.",
		}),
		found: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_overdue_found_total", Help: "Looks (polls, sweeps, back-ups) that found something due and unclaimed.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_timers_refused_total", Help: "Timers failed at their fire, because no jobs could be made of their actions.",
		}),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_firings_skipped_total", Help: "Firings skipped by this replica, by misfire policy or because they were too late.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "minoots_kernel_errors_total", Help: "Kernel steps that failed and were tried again, by step.",
		}, []string{"step"}),
		backlog: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_backlog_timers", Help: "Timers due and not claimed, counted up to 100,000.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_oldest_overdue_seconds", Help: "How late the oldest unclaimed timer is; 0 when none is.",
		}),
		sweep: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_sweep_seconds", Help: "How long the last look at all that is due took; it grows with the index entries that vacuum cannot remove.",
		}),
		heap: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_heap_instants", Help: "Due instants that this kernel remembers, at the last refresh.",
		}),
		seat: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_kernel_seat", Help: "Rank of this kernel; 0 claims first, -1 is without a direct connection and polls.",
		}),
		listening: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_listener_up", Help: "1 while the direct connection listens for notifications, else 0.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_replicas_lost_total", Help: "Processes with workers that this kernel has found gone.",
		}),
		redispatched: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_jobs_redispatched_total", Help: "Jobs of processes that were gone, dispatched again by this kernel.",
		}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_acknowledgements_expired_total", Help: "Attempts that this kernel has failed because no agent acknowledged them in time.",
		}),
		abandoned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_jobs_abandoned_total", Help: "Actions failed because every process that ran them was lost, or because their job was ended from outside.",
		}),
	}
	m.sit(db.NoSeat)
	for s := range steps { // at 0 from the start, so that the first error is a rise
		m.errors.WithLabelValues(s.String())
	}
	m.errors.WithLabelValues(sweepStep)
	m.errors.WithLabelValues(upkeepStep)
	m.errors.WithLabelValues(retentionStep)
	m.errors.WithLabelValues(reapStep)
	m.claims.WithLabelValues("fired")
	m.claims.WithLabelValues("empty")
	skew := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "minoots_clock_skew_seconds", Help: "The database's clock minus this machine's.",
	}, func() float64 { return clock.Skew().Seconds() })
	var errs []error
	for _, c := range []prometheus.Collector{
		m.lateness, m.claims, m.claimSeconds, m.batch, m.fired, m.found, m.refused, m.skipped, m.errors, m.backlog, m.oldest, m.sweep, m.heap,
		m.seat, m.listening, m.lost, m.redispatched, m.abandoned, m.expired, skew,
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// sit notes the seat, and with it whether the kernel hears notifications.
func (m *metrics) sit(seat int) {
	m.seat.Set(float64(seat))
	m.listening.Set(0)
	if seat != db.NoSeat {
		m.listening.Set(1)
	}
}

// claimed counts one fire transaction.
func (m *metrics) claimed(fired []db.Fired, claim db.ClaimReport, took time.Duration) {
	m.claimSeconds.Observe(took.Seconds())
	m.skipped.Add(float64(claim.Skipped))
	if claim.Taken == 0 {
		m.claims.WithLabelValues("empty").Inc()
		return
	}
	m.claims.WithLabelValues("fired").Inc()
	m.batch.Observe(float64(len(fired)))
	m.fired.Add(float64(len(fired)))
	for i := range fired {
		m.lateness.Observe(fired[i].FiredAt.Sub(fired[i].DueAt).Seconds())
	}
}
