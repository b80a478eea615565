package natsconn

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the connection's. docs/metrics.md says what each is for.
type metrics struct {
	up       prometheus.Gauge
	connects prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_nats_up", Help: "1 while this replica is connected to NATS.",
		}),
		connects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_nats_connects_total", Help: "Connections made to NATS; more than one says that it was away.",
		}),
	}
	return m, errors.Join(reg.Register(m.up), reg.Register(m.connects))
}
