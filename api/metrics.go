package api

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the API's. Their names are documented and only ever grow; no tenant
// and no id is a label.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	// eventsSent grows with each event of each stream.
	eventsSent prometheus.Counter
	// acknowledged counts what agents say that counts.
	acknowledged *prometheus.CounterVec
}

func newMetrics() *metrics {
	return &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "minoots_http_requests_total",
			Help: "Requests answered, by operation (none: no such path) and status code.",
		}, []string{"operation", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "minoots_http_request_seconds",
			Help:    "Time from a request's header to its answer, by operation.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"operation"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_http_in_flight",
			Help: "Requests being answered now.",
		}),
		acknowledged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "minoots_acknowledgements_total",
			Help: "Acknowledgements that agents gave and that counted, by what they said.",
		}, []string{"status"}),
		eventsSent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_events_sent_total",
			Help: "Events sent to streams of server-sent events, counted for each.",
		}),
	}
}

func (m *metrics) register(to prometheus.Registerer, others ...prometheus.Collector) error {
	for _, c := range append(others, m.requests, m.seconds, m.inFlight, m.eventsSent, m.acknowledged) {
		if err := to.Register(c); err != nil {
			return fmt.Errorf("register API metrics: %w", err)
		}
	}
	return nil
}

func (m *metrics) observe(x *exchange, took time.Duration) {
	m.requests.WithLabelValues(x.operation, strconv.Itoa(x.code())).Inc()
	m.seconds.WithLabelValues(x.operation).Observe(took.Seconds())
}
