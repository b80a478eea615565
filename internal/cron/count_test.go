package cron

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
)

// walked counts as Count does, one by one.
func walked(s *Schedule, after, until time.Time, most int) (n int, last time.Time) {
	for n < most {
		next, _, ok := s.after(after, s.clock)
		if !ok || next.After(until) {
			break
		}
		n, last, after = n+1, next, next
	}
	return n, last
}

func TestCountIsWhatAWalkCounts(t *testing.T) {
	t.Parallel()
	created := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	zones := []string{
		"UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
		"Africa/Casablanca", "America/Sao_Paulo", "Europe/Dublin", "Pacific/Chatham",
	}
	crons := []string{
		"* * * * *", "*/7 * * * *", "30 2 * * *", "0 0 * * *", "15,45 1-3 * * *", "0 */5 * * MON-FRI", "59 23 L * *",
		"0 12 29 2 *", "10 0 2 * * *", "*/20 30 1,2,3 * * SUN", "0 0 13 * FRI", "0 0 1 1 *",
	}
	rapid.Check(t, func(t *rapid.T) {
		r := minoots.Recurrence{
			Cron: rapid.SampledFrom(crons).Draw(t, "cron"), TimeZone: rapid.SampledFrom(zones).Draw(t, "zone"),
			DST: &minoots.DSTPolicy{
				Gap:     rapid.SampledFrom([]string{"shift", "skip"}).Draw(t, "gap"),
				Overlap: rapid.SampledFrom([]string{"first", "last", "both"}).Draw(t, "overlap"),
			},
		}
		if rapid.Bool().Draw(t, "every") {
			every := minoots.Duration(rapid.Int64Range(1000, 7_200_000).Draw(t, "ms")) * minoots.Duration(time.Millisecond)
			r = minoots.Recurrence{Every: &every}
		}
		if rapid.Bool().Draw(t, "ends") {
			end := minoots.InstantOf(created.Add(time.Duration(rapid.Int64Range(0, 400*24*3600).Draw(t, "end")) * time.Second))
			r.EndAt = &end
		}
		s, bad := Compile(r, created)
		require.Empty(t, bad)
		after := created.Add(time.Duration(rapid.Int64Range(0, 400*24*3_600_000).Draw(t, "after")) * time.Millisecond)
		length := rapid.SampledFrom([]int64{0, 1, 3600, 3 * 3600, 30 * 3600, 40 * 24 * 3600}).Draw(t, "length")
		until := after.Add(time.Duration(length) * time.Second)
		most := rapid.SampledFrom([]int{0, 1, 2, 17, math.MaxInt}).Draw(t, "most")
		n, last := s.Count(after, until, most)
		wantN, wantLast := walked(s, after, until, most)
		require.Equal(t, wantN, n)
		require.True(t, wantLast.Equal(last), "want %s, got %s", wantLast, last)
	})
}

// Around each change of clocks of a few years, where it may go wrong.
func TestCountAroundChanges(t *testing.T) {
	t.Parallel()
	created := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, zone := range []string{"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Asia/Pyongyang"} {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		for _, overlap := range []string{"first", "last", "both"} {
			for _, gap := range []string{"shift", "skip"} {
				s, bad := Compile(minoots.Recurrence{Cron: "*/10 * * * *", TimeZone: zone, DST: &minoots.DSTPolicy{Gap: gap, Overlap: overlap}}, created)
				require.Empty(t, bad)
				for change := spanAt(location, created.Unix()); change.end < created.AddDate(12, 0, 0).Unix(); change = change.after(location) {
					for _, hours := range []int64{1, 3, 26, 60} {
						after, until := time.Unix(change.end-hours*3600, 0), time.Unix(change.end+hours*3600+300, 0)
						n, last := s.Count(after, until, math.MaxInt)
						wantN, wantLast := walked(s, after, until, math.MaxInt)
						require.Equal(t, wantN, n, "%s, %s, %s: %s", zone, overlap, gap, after)
						require.True(t, wantLast.Equal(last))
					}
				}
			}
		}
	}
}

func BenchmarkCount(b *testing.B) {
	created := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, expression := range []string{"* * * * * *", "0 9 * * MON-FRI"} {
		s, bad := Compile(minoots.Recurrence{Cron: expression, TimeZone: "Europe/Paris"}, created)
		require.Empty(b, bad)
		b.Run(expression, func(b *testing.B) {
			for b.Loop() { // a year
				if n, _ := s.Count(created, created.AddDate(1, 0, 0), math.MaxInt); n < 100 {
					b.Fatal(n)
				}
			}
		})
	}
}
