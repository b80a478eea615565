package kernel_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/kernel"
	"github.com/minoots/minoots/workers"
	"github.com/minoots/minoots/workers/action"
)

// BenchmarkFire is the rate at which a backlog is claimed, enqueued as River jobs
// and committed, by one kernel.
func BenchmarkFire(b *testing.B) {
	for _, streams := range []int{1, 2, 3, 4} {
		for _, batch := range []int{1, 10, 100, 250, 500, 1000} {
			if streams > 1 && batch < 100 {
				continue
			}
			b.Run(fmt.Sprintf("streams=%d/batch=%d", streams, batch), func(b *testing.B) {
				fireBacklog(b, batch, streams, min(batch*100, 20_000))
			})
		}
	}
}

func fireBacklog(b *testing.B, batch, streams, timers int) {
	w := newWorld(b)
	planner := workers.NewPlanner(action.NewRegistry(action.Config{}))
	database := w.connect(w.URL, int32(streams)+2)
	spec := acting(w.in(-time.Second), 1, "wake")
	spec.ActionBundle.Actions[0].Parameters = []byte(`{"url":"https://example.com/hook","method":"POST","timeoutMs":10000}`)
	spec.Name, spec.RequestedBy = "resume-research", "agent:planner"
	specs := make([]minoots.TimerSpec, min(timers, 1000))
	for i := range specs {
		specs[i] = spec
	}
	best := time.Hour // of the rounds: what other processes do only ever adds
	for b.Loop() {
		b.StopTimer()
		w.exec("TRUNCATE river.river_job, minoots.timers, minoots.timer_states, minoots.firings, minoots.events")
		for range timers / len(specs) {
			w.create(specs...)
		}
		w.exec("VACUUM ANALYZE minoots.timer_states")
		w.exec("CHECKPOINT")
		b.StartTimer()
		began := time.Now()
		k := w.start(kernel.Config{DB: database, Planner: planner, Batch: batch, Streams: streams})
		require.Eventually(b, func() bool { return k.metric(b, "minoots_timers_fired_total") >= float64(timers) }, time.Minute, time.Millisecond)
		best = min(best, time.Since(began))
		b.StopTimer()
		k.stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(timers)/best.Seconds(), "timers/s")
}
