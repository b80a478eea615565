package kernel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/kernel"
)

// BenchmarkFireRecurring is the rate at which a backlog of recurring timers without
// actions is claimed, judged, re-armed and committed, by one kernel, beside that of
// as many that fire once.
func BenchmarkFireRecurring(b *testing.B) {
	hour := minoots.Duration(time.Hour)
	recurring := minoots.TimerSpec{Recurrence: &minoots.Recurrence{Every: &hour}}
	for _, kind := range []string{"once", "recurring"} {
		b.Run(kind, func(b *testing.B) {
			const timers = 20_000
			w := newWorld(b)
			database := w.connect(w.URL, 4)
			specs := make([]minoots.TimerSpec, 1000)
			best := time.Hour // of the rounds: what other processes do only ever adds
			for b.Loop() {
				b.StopTimer()
				w.exec("TRUNCATE minoots.timers, minoots.timer_states, minoots.firings, minoots.events")
				for i := range specs {
					if specs[i] = recurring; kind == "once" {
						specs[i] = w.in(-time.Second)
					}
				}
				for range timers / len(specs) {
					w.create(specs...)
				}
				// Due now, and scheduled for a time within the grace.
				w.exec("UPDATE minoots.timer_states SET due_at = now() - interval '1 second', fire_at = now() - interval '1 second'")
				w.exec("VACUUM ANALYZE minoots.timer_states")
				w.exec("CHECKPOINT")
				b.StartTimer()
				began := time.Now()
				k := w.start(kernel.Config{DB: database})
				require.Eventually(b, func() bool { return k.metric(b, "minoots_timers_fired_total") >= timers }, time.Minute, time.Millisecond)
				best = min(best, time.Since(began))
				b.StopTimer()
				k.stop()
				b.StartTimer()
			}
			b.ReportMetric(timers/best.Seconds(), "timers/s")
		})
	}
}
