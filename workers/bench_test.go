package workers_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers"
)

// fireMany fires n timers of one action each, a thousand at a time.
func (w *world) fireMany(n int) {
	w.exec("TRUNCATE river.river_job, minoots.timers, minoots.timer_states, minoots.firings, minoots.attempts, minoots.events")
	for left := n; left > 0; left -= 1000 {
		w.fire(many(min(left, 1000), bundle(1, "a"))...)
	}
	w.exec("VACUUM ANALYZE river.river_job, minoots.timer_states, minoots.firings")
}

// BenchmarkRecord is what a group of outcomes costs, by its size: jobs completed,
// attempts and events written, firings and timers settled.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{1, 10, 100, 250, 500, 1000} {
		b.Run(fmt.Sprintf("group=%d", size), func(b *testing.B) {
			w := newWorld(b)
			jobs := min(100*size, 5000)
			best := time.Hour // of the rounds: what other processes do only ever adds
			for b.Loop() {
				b.StopTimer()
				w.fireMany(jobs)
				records := w.running()
				b.StartTimer()
				began := time.Now()
				for i := 0; i < len(records); i += size {
					live, err := w.api.OutcomeRecord(b.Context(), "bench", records[i:min(i+size, len(records))], nil)
					require.NoError(b, err)
					require.True(b, live[0])
				}
				best = min(best, time.Since(began))
			}
			b.ReportMetric(float64(jobs)/best.Seconds(), "outcomes/s")
		})
	}
}

// BenchmarkRecordAfterQuiet is the same where next to nothing was under way until
// now: by then the connection has a plan, made of empty tables, and keeps it
// (docs/adr/0010-plans.md).
func BenchmarkRecordAfterQuiet(b *testing.B) {
	const jobs, size = 2000, 100
	best := time.Hour
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b)
		w.exec("VACUUM ANALYZE")
		database := w.connect(w.URL, 1)
		record := func(records []db.OutcomeRecord) {
			live, err := database.OutcomeRecord(b.Context(), "bench", records, nil)
			require.NoError(b, err)
			require.True(b, live[0])
		}
		for range 10 { // more than the five after which Postgres settles for a plan
			w.fire(bundle(1, "a"))
			record(w.running())
		}
		w.fire(many(jobs, bundle(1, "a"))...)
		records := w.running()
		b.StartTimer()
		began := time.Now()
		for i := 0; i < jobs; i += size {
			record(records[i : i+size])
		}
		best = min(best, time.Since(began))
	}
	b.ReportMetric(jobs/best.Seconds(), "outcomes/s")
}

// running makes all jobs running, as River's fetch does, and gives an outcome of each.
func (w *world) running() []db.OutcomeRecord {
	rows, err := w.Pool.Query(context.Background(), `UPDATE river.river_job SET state = 'running', attempt = 1, attempted_at = now(),
		attempted_by = array_append(attempted_by, 'bench') RETURNING id, args`)
	require.NoError(w, err)
	defer rows.Close()
	var all []db.OutcomeRecord
	for rows.Next() {
		r := db.OutcomeRecord{Attempt: 1, Final: true, Delivery: &minoots.Delivery{}, Outcome: succeeded()}
		r.Outcome.StartedAt, r.Outcome.FinishedAt = time.Now(), time.Now()
		require.NoError(w, rows.Scan(&r.JobID, r.Delivery))
		all = append(all, r)
	}
	require.NoError(w, rows.Err())
	return all
}

// BenchmarkWorkers is the whole of it: River's fetch, an attempt that takes no
// time, and the recorder.
func BenchmarkWorkers(b *testing.B) {
	for _, concurrency := range []int{50, 200, 500} {
		b.Run(fmt.Sprintf("concurrency=%d", concurrency), func(b *testing.B) {
			w := newWorld(b)
			const jobs = 5000
			database := w.connect(w.URL, 10)
			best, groups, seen := time.Hour, uint64(0), 0
			for b.Loop() {
				b.StopTimer()
				w.fireMany(jobs)
				a := &counting{}
				b.StartTimer()
				began := time.Now()
				k := w.start(workers.Config{DB: database, Actions: a, Concurrency: concurrency})
				require.Eventually(b, func() bool { return a.n.Load() >= jobs }, time.Minute, time.Millisecond)
				w.eventuallyOver(jobs)
				best = min(best, time.Since(began))
				b.StopTimer()
				k.stop()
				groups += k.family(b, "minoots_recorder_group_outcomes")[0].GetHistogram().GetSampleCount()
				seen += jobs
				b.StartTimer()
			}
			b.ReportMetric(jobs/best.Seconds(), "outcomes/s")
			b.ReportMetric(float64(seen)/float64(groups), "outcomes/group")
		})
	}
}

// counting is an Executor that does nothing else.
type counting struct{ n atomic.Int64 }

func (c *counting) Kinds() []minoots.ActionKind { return []minoots.ActionKind{minoots.KindWebhook} }

func (c *counting) Destination(*minoots.Delivery) string { return "" }

func (c *counting) Execute(context.Context, minoots.Delivery, int) minoots.Outcome {
	c.n.Add(1)
	out := succeeded()
	out.StartedAt, out.FinishedAt = time.Now(), time.Now()
	return out
}
