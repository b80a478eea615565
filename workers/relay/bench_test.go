package relay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkRelay publishes a backlog, as after an hour without NATS, to a server in
// this process that stores it in files.
func BenchmarkRelay(b *testing.B) {
	w := newWorld(b)
	for range 20 {
		w.lives(1000)
	}
	events := float64(len(w.log()))
	began := time.Now()
	r := w.relay()
	require.Eventually(b, func() bool { return r.metric(b, "minoots_relay_events_total") >= events }, 3*time.Minute, tick)
	took := time.Since(began)
	b.ReportMetric(events/took.Seconds(), "messages/s")
	b.ReportMetric(events, "messages")
	b.ReportMetric(0, "ns/op")
}
