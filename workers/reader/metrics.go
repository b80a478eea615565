package reader

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are a reader's, by their documented names and meanings, which only ever
// grow. The names are those of the fields after Prefix: minoots_relay gives
// minoots_relay_active, _lag_seconds, _events_total, _failures_total and _gaps_total.
type Metrics struct {
	Prefix                              string
	Active, Lag, Events, Failures, Gaps string
}

type metrics struct {
	active                 prometheus.Gauge
	lag                    prometheus.GaugeFunc
	events, failures, gaps prometheus.Counter
}

func newMetrics(m Metrics, lag func() float64) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: m.Prefix + name, Help: help})
	}
	return &metrics{
		active:   prometheus.NewGauge(prometheus.GaugeOpts{Name: m.Prefix + "_active", Help: m.Active}),
		lag:      prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: m.Prefix + "_lag_seconds", Help: m.Lag}, lag),
		events:   counter("_events_total", m.Events),
		failures: counter("_failures_total", m.Failures),
		gaps:     counter("_gaps_total", m.Gaps),
	}
}

func (m *metrics) register(to prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.active, m.lag, m.events, m.failures, m.gaps} {
		if err := to.Register(c); err != nil {
			return fmt.Errorf("register the metrics of a reader: %w", err)
		}
	}
	return nil
}
