package eventhub_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/eventhub"
	"github.com/minoots/minoots/internal/testdb"
)

// BenchmarkDelivery appends events one a transaction, and measures how long after
// the answer to the commit each stream has each of them.
func BenchmarkDelivery(b *testing.B) {
	for _, streams := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) { benchDelivery(b, streams) })
	}
}

func benchDelivery(b *testing.B, streams int) {
	database := testdb.New(b)
	d, err := db.Connect(b.Context(), db.Config{URL: database.URL, Name: "hub"})
	require.NoError(b, err)
	defer d.Close()
	hub, err := eventhub.New(eventhub.Config{DB: d})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	const n = 2000
	arrived := make([][]time.Time, streams) // by stream, in the order of the log
	var all sync.WaitGroup
	for i := range streams {
		s, err := hub.Subscribe(ctx, db.EventFilter{TenantID: "acme"}, db.EventCursor{})
		require.NoError(b, err)
		arrived[i] = make([]time.Time, 0, n)
		all.Go(func() {
			defer s.Close()
			for len(arrived[i]) < n {
				events, err := s.Next(ctx)
				if err != nil {
					return
				}
				now := time.Now()
				for range events {
					arrived[i] = append(arrived[i], now)
				}
			}
		})
	}
	committed := make([]time.Time, n)
	began := time.Now()
	for i := range n { // one writer: the log's order is this one
		require.NoError(b, write(ctx, database.Pool, "acme", 1, 0))
		committed[i] = time.Now()
	}
	all.Wait()
	took := time.Since(began)
	var delays []time.Duration
	for i := range arrived {
		require.Len(b, arrived[i], n)
		for j, at := range arrived[i] {
			delays = append(delays, at.Sub(committed[j]))
		}
	}
	slices.Sort(delays)
	b.ReportMetric(n/took.Seconds(), "appended/s")
	b.ReportMetric(float64(n*streams)/took.Seconds(), "delivered/s")
	b.ReportMetric(float64(delays[len(delays)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(delays[len(delays)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
	cancel()
	require.NoError(b, <-done)
}

// BenchmarkCatchUp reads a log of 500,000 events from its beginning.
func BenchmarkCatchUp(b *testing.B) {
	database := testdb.New(b)
	d, err := db.Connect(b.Context(), db.Config{URL: database.URL, Name: "hub"})
	require.NoError(b, err)
	defer d.Close()
	const n = 500_000
	_, err = database.Pool.Exec(b.Context(), `DO $$ BEGIN
		FOR i IN 1..5000 LOOP
			INSERT INTO minoots.events (timer_id, tenant_id, type)
			SELECT gen_random_uuid(), 'acme', 'timer.updated' FROM generate_series(1, 100);
			COMMIT;
		END LOOP;
	END $$`)
	require.NoError(b, err)
	_, err = database.Pool.Exec(b.Context(), "VACUUM ANALYZE minoots.events")
	require.NoError(b, err)
	for _, limit := range []int{1000, db.MaxEventPage} {
		for _, marks := range []bool{true, false} {
			b.Run(fmt.Sprintf("page=%d/marks=%t", limit, marks), func(b *testing.B) {
				if !marks {
					if limit < db.MaxEventPage {
						b.Skip("minutes")
					}
					_, err := database.Pool.Exec(b.Context(), "DELETE FROM minoots.event_marks")
					require.NoError(b, err)
				}
				at, err := d.EventOldest(b.Context())
				require.NoError(b, err)
				began, read := time.Now(), 0
				for more := true; more; {
					page, err := d.EventPage(b.Context(), db.EventRequest{After: at, Limit: limit})
					require.NoError(b, err)
					read, at, more = read+len(page.Events), page.Next, page.More
				}
				require.Equal(b, n, read)
				b.ReportMetric(n/time.Since(began).Seconds(), "events/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
