package cron

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	var i minoots.Instant
	require.NoError(t, i.UnmarshalText([]byte(text)))
	return i.Time
}

func ptr[T any](v T) *T { return &v }

// TestKnownChanges is a table of changes that are on record: where they are odd,
// and what each policy makes of them.
func TestKnownChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, cron, zone, gap, overlap, after string
		want                                  []string
	}{
		{"a gap in spring: shifted by its length", "30 2 * * *", "America/New_York", "shift", "first", "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T03:30:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"the same, skipped", "30 2 * * *", "America/New_York", "skip", "first", "2026-03-07T12:00:00Z",
			[]string{"2026-03-09T02:30:00-04:00"}},
		{"its first minute does not exist, its last is not in it", "0 2,3 * * *", "America/New_York", "shift", "first", "2026-03-08T05:30:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"}},
		{"an overlap in autumn: the first", "30 1 * * *", "America/New_York", "shift", "first", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"the last", "30 1 * * *", "America/New_York", "shift", "last", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-05:00"}},
		{"both", "30 1 * * *", "America/New_York", "shift", "both", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-05:00"}},
		{"from between the two, the first is over", "30 1 * * *", "America/New_York", "shift", "first", "2026-11-01T05:45:00Z",
			[]string{"2026-11-02T01:30:00-05:00"}},
		{"an interval does not rest in the second hour", "*/30 * * * *", "America/New_York", "", "", "2026-11-01T04:45:00Z",
			[]string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00", "2026-11-01T02:00:00-05:00"}},
		{"unless it is asked to", "*/30 * * * *", "America/New_York", "", "first", "2026-11-01T04:45:00Z",
			[]string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T02:00:00-05:00"}},
		{"an interval over a gap", "*/30 * * * *", "America/New_York", "", "", "2026-03-08T06:15:00Z",
			[]string{"2026-03-08T01:30:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-08T03:30:00-04:00"}},
		{"half an hour's gap", "15 2 * * *", "Australia/Lord_Howe", "shift", "first", "2026-10-03T00:00:00Z",
			[]string{"2026-10-04T02:45:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"half an hour's overlap", "45 1 * * *", "Australia/Lord_Howe", "shift", "both", "2026-04-04T00:00:00Z",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30", "2026-04-06T01:45:00+10:30"}},
		{"a day that was not", "0 9 30 12 *", "Pacific/Apia", "shift", "first", "2011-12-01T00:00:00Z",
			[]string{"2011-12-31T09:00:00+14:00", "2012-12-30T09:00:00+14:00"}},
		{"a day that was not, skipped", "0 9 30 12 *", "Pacific/Apia", "skip", "first", "2011-12-01T00:00:00Z",
			[]string{"2012-12-30T09:00:00+14:00"}},
		{"a daily time shifted upon itself is one", "0 9 * * *", "Pacific/Apia", "shift", "first", "2011-12-29T10:00:00Z",
			[]string{"2011-12-29T09:00:00-10:00", "2011-12-31T09:00:00+14:00", "2012-01-01T09:00:00+14:00"}},
		{"no midnight in São Paulo", "0 0 * * *", "America/Sao_Paulo", "shift", "first", "2018-11-03T12:00:00Z",
			[]string{"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}},
		{"no midnight in Beirut", "0 0 * * *", "Asia/Beirut", "shift", "first", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T01:00:00+03:00", "2026-03-30T00:00:00+03:00"}},
		{"no midnight in Cairo, skipped", "0 0 * * *", "Africa/Cairo", "skip", "first", "2026-04-23T12:00:00Z",
			[]string{"2026-04-25T00:00:00+03:00"}},
		{"the clocks go back over midnight", "30 23 * * *", "Africa/Cairo", "shift", "both", "2026-10-28T22:00:00Z",
			[]string{"2026-10-29T23:30:00+03:00", "2026-10-29T23:30:00+02:00", "2026-10-30T23:30:00+02:00"}},
		{"summer all year but for Ramadan", "30 2 * * *", "Africa/Casablanca", "shift", "first", "2026-02-14T12:00:00Z",
			[]string{"2026-02-15T02:30:00+01:00", "2026-02-16T02:30:00Z"}},
		{"and back", "30 2 * * *", "Africa/Casablanca", "shift", "first", "2026-03-21T12:00:00Z",
			[]string{"2026-03-22T03:30:00+01:00", "2026-03-23T02:30:00+01:00"}},
		{"winter is the exception in Dublin", "30 1 * * *", "Europe/Dublin", "shift", "last", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"}},
		{"two hours at once", "30 1 * * *", "Antarctica/Troll", "shift", "first", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T03:30:00+02:00", "2026-03-30T01:30:00+02:00"}},
		{"by the rule, long after the table's end", "30 2 * * *", "America/New_York", "shift", "first", "2099-03-07T12:00:00Z",
			[]string{"2099-03-08T03:30:00-04:00"}},
		{"months do not drift", "0 9 31 * *", "Europe/Paris", "shift", "first", "2026-01-01T00:00:00Z",
			[]string{"2026-01-31T09:00:00+01:00", "2026-03-31T09:00:00+02:00", "2026-05-31T09:00:00+02:00"}},
	} {
		after := instant(t, c.after)
		s, bad := Compile(minoots.Recurrence{Cron: c.cron, TimeZone: c.zone, DST: &minoots.DSTPolicy{Gap: c.gap, Overlap: c.overlap}}, after)
		require.Empty(t, bad, c.what)
		for i, want := range c.want {
			next, ok := s.Next(after, i)
			require.True(t, ok, c.what)
			assert.Equal(t, want, next.In(s.clock.zone).Format(time.RFC3339), c.what)
			after = next
		}
	}
}

func TestEvery(t *testing.T) {
	t.Parallel()
	created := instant(t, "2026-10-31T23:59:59.000001Z")
	list := func(r minoots.Recurrence, n int) (found []string) {
		s, bad := Compile(r, created)
		require.Empty(t, bad)
		previous := created
		for range n {
			next, ok := s.Next(previous, len(found))
			if !ok {
				break
			}
			found = append(found, next.UTC().Format(time.RFC3339Nano))
			previous = next
		}
		return found
	}
	every := func(d time.Duration) *minoots.Duration { return ptr(minoots.Duration(d)) }
	start := func(text string) *minoots.Instant { return ptr(minoots.InstantOf(instant(t, text))) }

	assert.Equal(t, []string{"2026-11-01T00:14:59.000001Z", "2026-11-01T00:29:59.000001Z"},
		list(minoots.Recurrence{Every: every(15 * time.Minute)}, 2), "from the creation, which is not an occurrence")
	assert.Equal(t, []string{"2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"},
		list(minoots.Recurrence{Every: every(24 * time.Hour), StartAt: start("2026-11-02T00:00:00Z"), TimeZone: "America/New_York"}, 2),
		"startAt is the first, and a day has 24 hours whatever the clocks do")
	assert.Equal(t, []string{"2026-11-01T00:00:00Z", "2026-11-01T07:00:00Z"},
		list(minoots.Recurrence{Every: every(7 * time.Hour), StartAt: start("2026-10-31T17:00:00Z")}, 2), "counted from a startAt that is past")

	s, bad := Compile(minoots.Recurrence{Every: every(time.Hour)}, created)
	require.Empty(t, bad)
	next, ok := s.Next(created.Add(time.Hour-1), 0)
	require.True(t, ok)
	assert.Equal(t, created.Add(time.Hour), next, "a nanosecond before is before")
}

func TestBounds(t *testing.T) {
	t.Parallel()
	created := instant(t, "2026-11-23T09:00:00Z")
	at := func(text string) *minoots.Instant { return ptr(minoots.InstantOf(instant(t, text))) }
	s, bad := Compile(minoots.Recurrence{
		Cron: "0 9 * * *", StartAt: at("2026-12-01T09:00:00Z"), EndAt: at("2026-12-03T09:00:00Z"), MaxOccurrences: ptr(5),
	}, created)
	require.Empty(t, bad)
	var found []string
	for next, ok := s.Next(created, 0); ok; next, ok = s.Next(next, len(found)) {
		found = append(found, next.Format(time.DateOnly))
	}
	assert.Equal(t, []string{"2026-12-01", "2026-12-02", "2026-12-03"}, found, "startAt and endAt are within")
	_, ok := s.Next(created, 5)
	assert.False(t, ok, "maxOccurrences")
	_, ok = s.Next(instant(t, "2300-01-01T00:00:00Z"), 0)
	assert.False(t, ok)

	s, bad = Compile(minoots.Recurrence{Every: ptr(minoots.Duration(minoots.MaxHorizon))}, created)
	require.Empty(t, bad)
	first, ok := s.Next(created, 0)
	require.True(t, ok)
	assert.Equal(t, created.Add(minoots.MaxHorizon), first)
	_, ok = s.Next(first, 1)
	assert.False(t, ok, "150 years are the end of any recurrence")
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for cron, overlap := range map[string]string{"0 9 * * *": "first", "*/15 * * * *": "both", "@hourly": "both", "0 */2 * * *": "first"} {
		s, bad := Compile(minoots.Recurrence{Cron: cron}, time.Now())
		require.Empty(t, bad)
		assert.Equal(t, minoots.Recurrence{Cron: cron, TimeZone: "UTC", DST: &minoots.DSTPolicy{Gap: "shift", Overlap: overlap}}, s.Recurrence())
	}
	asked := minoots.Recurrence{Cron: "@hourly", TimeZone: "Asia/Tokyo", DST: &minoots.DSTPolicy{Gap: "skip", Overlap: "first"}}
	s, bad := Compile(asked, time.Now())
	require.Empty(t, bad)
	assert.Equal(t, asked, s.Recurrence())
}

func TestBadRecurrences(t *testing.T) {
	t.Parallel()
	now := instant(t, "2026-11-23T09:00:00Z")
	at := func(d time.Duration) *minoots.Instant { return ptr(minoots.InstantOf(now.Add(d))) }
	every := func(d time.Duration) *minoots.Duration { return ptr(minoots.Duration(d)) }
	const horizon = minoots.MaxHorizon
	for _, c := range []struct {
		path, why string
		r         minoots.Recurrence
	}{
		{"", "exactly one of cron", minoots.Recurrence{}},
		{"", "has both", minoots.Recurrence{Cron: "@daily", Every: every(time.Hour)}},
		{"cron", "minute: 60 is not from 0 to 59", minoots.Recurrence{Cron: "60 * * * *"}},
		{"cron", "February has no day 30", minoots.Recurrence{Cron: "0 0 30 2 *"}},
		{"every", "must be from 1s", minoots.Recurrence{Every: every(time.Second - 1)}},
		{"every", "must be from 1s", minoots.Recurrence{Every: every(-time.Hour)}},
		{"every", "100 years", minoots.Recurrence{Every: every(horizon + 1)}},
		{"timeZone", `is written "Europe/Paris"`, minoots.Recurrence{Cron: "@daily", TimeZone: "europe/paris"}},
		{"timeZone", `want an IANA name such as "Europe/Paris"`, minoots.Recurrence{Cron: "@daily", TimeZone: "Local"}},
		{"timeZone", "not an abbreviation or offset", minoots.Recurrence{Cron: "@daily", TimeZone: "+02:00"}},
		{"timeZone", "IANA name", minoots.Recurrence{Cron: "@daily", TimeZone: "../../etc/passwd"}},
		{"timeZone", "IANA name", minoots.Recurrence{Every: every(time.Hour), TimeZone: "Mars/Olympus"}},
		{"dst.gap", "must be shift or skip", minoots.Recurrence{Cron: "@daily", DST: &minoots.DSTPolicy{Gap: "first"}}},
		{"dst.overlap", "must be first, last or both", minoots.Recurrence{Cron: "@daily", DST: &minoots.DSTPolicy{Overlap: "skip"}}},
		{"startAt", "within 100 years", minoots.Recurrence{Cron: "@daily", StartAt: at(horizon + time.Second)}},
		{"endAt", "within 100 years", minoots.Recurrence{Cron: "@daily", EndAt: at(-horizon - time.Second)}},
		{"endAt", "is before startAt (2026-11-23T11:00:00.000000Z)", minoots.Recurrence{Cron: "@daily", StartAt: at(2 * time.Hour), EndAt: at(time.Hour)}},
		{"endAt", "has passed; must be at or after 2026-11-23T09:00:00.000000Z", minoots.Recurrence{Cron: "@daily", EndAt: at(-1000)}},
		{"endAt", "before the first occurrence (2026-11-24T00:00:00.000000Z)", minoots.Recurrence{Cron: "@daily", EndAt: at(time.Hour)}},
		{"endAt", "before the first occurrence (2026-11-23T10:00:00.000000Z)", minoots.Recurrence{Every: every(time.Hour), EndAt: at(time.Minute)}},
		{"maxOccurrences", "from 1 to 2147483647", minoots.Recurrence{Cron: "@daily", MaxOccurrences: ptr(0)}},
		{"maxOccurrences", "from 1 to 2147483647", minoots.Recurrence{Cron: "@daily", MaxOccurrences: ptr(1 << 31)}},
		{"cron", "local time never exists", minoots.Recurrence{Cron: "30 2 * 3 SUN#2", TimeZone: "America/New_York", DST: &minoots.DSTPolicy{Gap: "skip"}}},
	} {
		s, bad := Check(c.r, now)
		assert.Nil(t, s)
		if assert.Len(t, bad, 1, c.why) {
			assert.Equal(t, c.path, bad[0].Path)
			assert.Contains(t, bad[0].Message, c.why)
		}
	}
	_, bad := Check(minoots.Recurrence{Cron: "60 24 * * *", TimeZone: "X", MaxOccurrences: ptr(-1)}, now)
	assert.Len(t, bad, 4, "all mistakes at once")
}

func BenchmarkNext(b *testing.B) {
	for _, cron := range []string{"*/15 * * * *", "0 9 * * MON-FRI", "0 0 1 1 *", "0 0 * 2 FRI#5"} {
		s, _ := Compile(minoots.Recurrence{Cron: cron, TimeZone: "Europe/Paris"}, time.Unix(1_800_000_000, 0))
		b.Run(cron, func(b *testing.B) {
			b.ReportAllocs()
			at := time.Unix(1_800_000_000, 0)
			for b.Loop() {
				s.Next(at, 0)
			}
		})
	}
}
