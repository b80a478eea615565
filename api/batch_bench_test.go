package api_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/jsonguard"
	"github.com/minoots/minoots/workers/action"
)

// batchTimer is one of the bench's (internal/bench/reference.go).
const batchTimer = `{"name":"resume-research","requestedBy":"agent:planner","fireAt":"2027-11-23T09:00:00.000000Z",` +
	`"labels":{"session":"s-17"},"actionBundle":{"actions":[{"id":"wake","kind":"webhook",` +
	`"parameters":{"url":"http://127.0.0.1:43210/far/1826960400000000"}}]}}`

// BenchmarkBatch is what a timer of a batch costs the replica's CPU around the
// statement: decode, validate, encode the answer. ns/op is of one timer.
func BenchmarkBatch(b *testing.B) {
	const size = 1000
	type batch struct {
		Timers []minoots.TimerSpec `json:"timers" maxItems:"10000" maxBytes:"262144"`
	}
	text := append([]byte(`{"timers":[`), bytes.Repeat([]byte(batchTimer+","), size)...)
	text = append(text[:len(text)-1], "]}"...)
	decoder := jsonguard.New[batch](minoots.MaxJSONDepth)
	var read batch
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += size {
			read = batch{}
			require.NoError(b, decoder.Decode(text, &read))
		}
	})
	require.NoError(b, decoder.Decode(text, &read))
	registry := action.NewRegistry(action.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	defer registry.Close()
	now := time.Now()
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			require.NoError(b, read.Timers[i%size].Validate(now, minoots.Checks{Parameters: registry.Check}))
		}
	})
}
