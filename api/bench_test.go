package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/jsonguard"
)

const benchTimer = `{"name": "resume-research", "duration": "45m", "requestedBy": "agent:planner",
 "labels": {"session": "s-17"}, "metadata": {"any": "JSON"},
 "actionBundle": {"actions": [{"id": "wake", "kind": "webhook",
   "parameters": {"url": "https://example.com/hook", "method": "POST", "headers": {"x-a": "b"}, "timeoutMs": 10000}}]}}`

// BenchmarkRead is what the API does with a body before the database: guard,
// decode, validate; and encoding/json alone, to compare.
func BenchmarkRead(b *testing.B) {
	decoder, text := jsonguard.New[minoots.TimerSpec](minoots.MaxJSONDepth), []byte(benchTimer)
	b.Run("guarded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var spec minoots.TimerSpec
			if err := decoder.Decode(text, &spec); err != nil {
				b.Fatal(err)
			}
			if err := spec.Validate(time.Now(), minoots.Checks{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var spec minoots.TimerSpec
			if err := json.Unmarshal(text, &spec); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCreate compares the insert alone with a create over HTTP, each with
// eight callers at once.
func BenchmarkCreate(b *testing.B) {
	bundle := setup(b)
	var spec minoots.TimerSpec
	require.NoError(b, json.Unmarshal([]byte(benchTimer), &spec))
	rate := func(b *testing.B) { b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "timers/s") }
	b.Run("insert", func(b *testing.B) {
		b.SetParallelism(4)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := bundle.db.TimerCreate(b.Context(), []db.NewTimer{{ID: minoots.NewID(), TenantID: "acme", Spec: spec}}); err != nil {
					b.Error(err)
					return
				}
			}
		})
		rate(b)
	})
	server := httptest.NewServer(bundle.handler)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	post := func(b *testing.B, path, body string) {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+path, strings.NewReader(body))
		if err != nil {
			b.Error(err)
			return
		}
		r.Header.Set("X-Api-Key", bundle.admin)
		a, err := client.Do(r)
		if err != nil || a.StatusCode != http.StatusCreated {
			b.Error(err, a)
			return
		}
		_, _ = io.Copy(io.Discard, a.Body)
		_ = a.Body.Close()
	}
	b.Run("http", func(b *testing.B) {
		b.SetParallelism(4)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				post(b, "/v1/timers", benchTimer)
			}
		})
		rate(b)
	})
	const size = 1000
	batch := `{"timers":[` + strings.Repeat(benchTimer+",", size-1) + benchTimer + `]}`
	b.Run("batch-of-1000", func(b *testing.B) {
		for b.Loop() {
			post(b, "/v1/timers/batch", batch)
		}
		b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "timers/s")
	})
}
