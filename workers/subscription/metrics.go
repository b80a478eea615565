package subscription

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the sender's. Their names are documented and only ever grow.
type metrics struct {
	active               prometheus.Gauge
	lag                  prometheus.GaugeFunc
	made, failures, gaps prometheus.Counter
}

func newMetrics(lag func() float64) *metrics {
	return &metrics{
		active: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_subscriptions_active", Help: "1 on the replica that reads the log for subscriptions.",
		}),
		lag: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "minoots_subscriptions_lag_seconds",
			Help: "Age of the oldest event that this replica has read and made no deliveries of yet; 0 if there is none.",
		}, lag),
		made: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_subscriptions_events_total", Help: "Deliveries made of events, one for each subscription that wants it.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_subscriptions_failures_total", Help: "Failed tries to make deliveries of events, because Postgres was away.",
		}),
		gaps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_subscriptions_gaps_total", Help: "Times that retention removed events before subscriptions got them.",
		}),
	}
}

func (m *metrics) register(to prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.active, m.lag, m.made, m.failures, m.gaps} {
		if err := to.Register(c); err != nil {
			return fmt.Errorf("register subscription metrics: %w", err)
		}
	}
	return nil
}
