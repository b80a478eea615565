package eventhub

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the hub's. Their names are documented and only ever grow; no tenant
// and no id is a label.
type metrics struct {
	streams, lag   prometheus.GaugeFunc
	read, caughtUp prometheus.Counter
	cutOff         prometheus.Counter
}

func newMetrics(h *Hub) *metrics {
	return &metrics{
		streams: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "minoots_events_streams",
			Help: "Event streams that are open.",
		}, func() float64 {
			h.mu.Lock()
			defer h.mu.Unlock()
			return float64(h.streams)
		}),
		lag: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "minoots_events_lag_seconds",
			Help: "For how long the event streams of this replica may not have had all that is committed; 0 without streams.",
		}, func() float64 { return h.lag().Seconds() }),
		read: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_events_read_total",
			Help: "Events read from the log, once for all streams.",
		}),
		caughtUp: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_events_caught_up_total",
			Help: "Events read from the log by streams that were behind, each for itself.",
		}),
		cutOff: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_events_cut_off_total",
			Help: "Event streams ended because their consumer was too slow.",
		}),
	}
}

func (m *metrics) register(to prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.streams, m.lag, m.read, m.caughtUp, m.cutOff} {
		if err := to.Register(c); err != nil {
			return fmt.Errorf("register event metrics: %w", err)
		}
	}
	return nil
}
