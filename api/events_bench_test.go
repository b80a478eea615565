package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/api"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/eventhub"
)

// Events to readers of GET /v1/events over loopback, from commit. The writer makes
// batches of 50 timers, 20 a second.
func BenchmarkSSE(b *testing.B) {
	for _, readers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(readers, "_readers"), func(b *testing.B) {
			for b.Loop() {
				benchSSE(b, readers)
			}
		})
	}
}

func benchSSE(b *testing.B, readers int) {
	s := setup(b)
	hub, err := eventhub.New(eventhub.Config{DB: s.db})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = hub.Run(ctx) })
	a, err := api.New(api.Config{DB: s.db, Hub: hub})
	require.NoError(b, err)
	server := httptest.NewServer(a.Handler())
	defer func() { cancel(); server.CloseClientConnections(); server.Close(); wg.Wait() }()

	const batches, size = 100, 50
	var committed sync.Map // when each timer was
	var got atomic.Int64
	delays := make([][]time.Duration, readers)
	for i := range readers {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/events", nil)
		require.NoError(b, err)
		req.Header.Set("X-Api-Key", s.admin)
		res, err := http.DefaultClient.Do(req)
		require.NoError(b, err)
		wg.Go(func() {
			defer func() { _ = res.Body.Close() }()
			for lines := bufio.NewScanner(res.Body); lines.Scan(); {
				data, found := strings.CutPrefix(lines.Text(), "data: ")
				var e minoots.Event
				if !found || json.Unmarshal([]byte(data), &e) != nil {
					continue
				}
				if at, ok := committed.Load(e.TimerID); ok { // else it came before its writer knew
					delays[i] = append(delays[i], time.Since(at.(time.Time)))
				}
				got.Add(1)
			}
		})
	}
	began := time.Now()
	for n := range batches {
		// The pace is the subject: 20 commits a second.
		time.Sleep(time.Until(began.Add(time.Duration(n) * 50 * time.Millisecond)))
		timers := make([]db.NewTimer, size)
		in := minoots.Duration(time.Hour)
		for i := range timers {
			timers[i] = db.NewTimer{ID: minoots.NewID(), TenantID: "acme", Spec: minoots.TimerSpec{Duration: &in}}
		}
		_, err := s.db.TimerCreate(ctx, timers)
		require.NoError(b, err)
		now := time.Now()
		for i := range timers {
			committed.Store(timers[i].ID, now)
		}
	}
	require.Eventually(b, func() bool { return got.Load() == int64(readers*batches*size) }, time.Minute, 5*time.Millisecond)
	took := time.Since(began).Seconds()
	cancel()
	server.CloseClientConnections()
	wg.Wait()
	all := slices.Concat(delays...)
	slices.Sort(all)
	b.ReportMetric(batches*size/took, "appended/s")
	b.ReportMetric(float64(readers*batches*size)/took, "delivered/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms_p50")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "ms_p99")
}
