package db_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/cron"
)

// What is remembered is the same schedule as one that was compiled for the timer,
// whoever asked before with bounds of his own.
func TestScheduleIsSharedByTimersWithOtherBounds(t *testing.T) {
	t.Parallel()
	anchor := time.Date(2027, 3, 1, 8, 30, 0, 250_000_000, time.UTC)
	at := func(after time.Duration) *minoots.Instant { i := minoots.InstantOf(anchor.Add(after)); return &i }
	few, every := 3, minoots.Duration(90*time.Second)
	skip := &minoots.DSTPolicy{Gap: minoots.GapSkip}
	var remembered db.Schedules
	for _, shape := range []minoots.Recurrence{
		{Every: &every}, {Cron: "*/10 * * * * *"}, {Cron: "*/10 * * * * *", TimeZone: "Asia/Kathmandu"}, {Cron: "30 2 * * *", TimeZone: "Europe/Paris"},
		{Cron: "30 2 * * *", TimeZone: "Europe/Paris", DST: skip},
	} {
		for _, bounds := range []minoots.Recurrence{
			{}, {StartAt: at(-time.Hour)}, {StartAt: at(time.Hour)}, {StartAt: at(time.Hour), EndAt: at(2 * time.Hour)},
			{EndAt: at(3 * time.Minute)}, {MaxOccurrences: &few}, {StartAt: at(time.Minute), MaxOccurrences: &few, EndAt: at(60 * 24 * time.Hour)},
		} {
			r := shape
			r.StartAt, r.EndAt, r.MaxOccurrences = bounds.StartAt, bounds.EndAt, bounds.MaxOccurrences
			fresh, bad := cron.Compile(r, anchor)
			require.Empty(t, bad)
			compact, err := json.Marshal(r)
			require.NoError(t, err)
			spaced, err := json.MarshalIndent(r, "", " ") // as another writer may have it
			require.NoError(t, err)
			for _, text := range [][]byte{compact, compact, spaced} {
				s, err := remembered.Of(text, anchor)
				require.NoError(t, err)
				want, got := anchor, anchor
				for n := range 5 {
					var wantOK, gotOK bool
					want, wantOK = fresh.Next(want, n)
					got, gotOK = s.Next(got, n)
					require.Equal(t, wantOK, gotOK, "%s, number %d", text, n+1)
					require.True(t, want.Equal(got), "%s, number %d: want %s, got %s", text, n+1, want, got)
					if !wantOK {
						break
					}
				}
				require.Equal(t, fresh.Recurrence(), s.Recurrence())
			}
		}
	}
	require.LessOrEqual(t, remembered.Held(), 3*5, "one for each kind, as it was written")
	for _, broken := range []string{`{"every": 1`, `{"every": 90000, "startAt": "soon"}`, `{"every": 90000, "maxOccurrences": "x"}`, `{"every": 90000, "endAt": 7}`} {
		_, err := remembered.Of([]byte(broken), anchor)
		require.ErrorContains(t, err, "does not decode", broken)
	}
}

// BenchmarkScheduleNext is what a re-arm computes, of 25,000 timers that each began
// at another instant: their schedules are asked for in turn.
func BenchmarkScheduleNext(b *testing.B) {
	anchor := time.Date(2027, 3, 1, 8, 30, 0, 0, time.UTC)
	every := minoots.Duration(time.Minute)
	for name, r := range map[string]minoots.Recurrence{
		"every": {Every: &every}, "cron": {Cron: "*/5 * * * * *"}, "zone": {Cron: "0 9 * * MON-FRI", TimeZone: "Europe/Paris"},
	} {
		for _, differ := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/startAt=%t", name, differ), func(b *testing.B) {
				texts := make([][]byte, 25_000)
				for i := range texts {
					if start := minoots.InstantOf(anchor.Add(time.Duration(i) * 7 * time.Millisecond)); differ {
						r.StartAt = &start
					}
					var err error
					texts[i], err = json.Marshal(r)
					require.NoError(b, err)
				}
				var remembered db.Schedules
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					s, err := remembered.Of(texts[i%len(texts)], anchor)
					if err != nil {
						b.Fatal(err)
					}
					if _, ok := s.Next(anchor, 1); !ok {
						b.Fatal("it is over")
					}
					i++
				}
			})
		}
	}
}
