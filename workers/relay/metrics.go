package relay

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the relay's. Their names are documented and only ever grow.
type metrics struct {
	active                    prometheus.Gauge
	lag                       prometheus.GaugeFunc
	published, failures, gaps prometheus.Counter
}

func newMetrics(lag func() float64) *metrics {
	return &metrics{
		active: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_relay_active", Help: "1 on the replica that relays events to NATS.",
		}),
		lag: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "minoots_relay_lag_seconds",
			Help: "Age of the oldest event that this replica has not relayed, of those that it tried to; 0 if there is none.",
		}, lag),
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_relay_events_total", Help: "Events relayed to NATS and acknowledged.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_relay_failures_total", Help: "Failed tries to relay, because NATS or Postgres was away or the stream does not fit.",
		}),
		gaps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_relay_gaps_total", Help: "Times that retention removed events before they could be relayed.",
		}),
	}
}

func (m *metrics) register(to prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.active, m.lag, m.published, m.failures, m.gaps} {
		if err := to.Register(c); err != nil {
			return fmt.Errorf("register relay metrics: %w", err)
		}
	}
	return nil
}
