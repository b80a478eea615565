package cron

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/tzdb"
)

// The reference is written for the tests and shares nothing with what it judges:
// it walks over time minute by minute, asks the time package what the clocks
// show, and tries each field of each minute.

// slow is an expression as the reference has it: a predicate for each field.
type slow struct {
	text                       string
	second, minute, hour       func(int) bool
	month                      func(int) bool
	day, weekday               func(date time.Time) bool
	dayStarred, weekdayStarred bool
}

func (s slow) matches(shown time.Time) bool {
	if !s.second(shown.Second()) || !s.minute(shown.Minute()) || !s.hour(shown.Hour()) || !s.month(int(shown.Month())) {
		return false
	}
	if s.dayStarred || s.weekdayStarred {
		return s.day(shown) && s.weekday(shown)
	}
	return s.day(shown) || s.weekday(shown)
}

// instants gives the Unix seconds from from until before to at which s fires in
// a zone, by steps of that many seconds.
func (s slow) instants(zone *time.Location, policy minoots.DSTPolicy, from, to, step int64) []int64 {
	margin := int64(30 * 3600) // more than clocks are moved at once
	if step == 1 {
		margin = 4 * 3600
	}
	type moment struct{ at, shown int64 }
	var walk []moment
	shownAt := map[int64][]int64{}
	for at := from - 2*margin; at < to+2*margin; at += step {
		_, offset := time.Unix(at, 0).In(zone).Zone()
		m := moment{at, at + int64(offset)}
		walk = append(walk, m)
		shownAt[m.shown] = append(shownAt[m.shown], at)
	}
	found := []int64{}
	_, offset := time.Unix(from, 0).In(zone).Zone()
	for shown := from + int64(offset) - margin; shown < to+int64(offset)+margin; shown += step {
		if !s.matches(time.Unix(shown, 0).UTC()) {
			continue
		}
		instants := shownAt[shown]
		switch {
		case len(instants) == 0 && policy.Gap == minoots.GapShift:
			for i := len(walk) - 2; i >= 0; i-- {
				if walk[i].shown < shown && walk[i+1].shown > shown {
					found = append(found, walk[i].at+shown-walk[i].shown)
					break
				}
			}
		case len(instants) == 0:
		case policy.Overlap == minoots.OverlapFirst:
			found = append(found, instants[0])
		case policy.Overlap == minoots.OverlapLast:
			found = append(found, instants[len(instants)-1])
		default:
			found = append(found, instants...)
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return slices.DeleteFunc(found, func(at int64) bool { return at < from || at >= to })
}

// fast is the same by what is tested.
func fast(t require.TestingT, text, zone string, policy minoots.DSTPolicy, from, to int64) []int64 {
	previous := time.Unix(from, 0).Add(-1)
	s, bad := Compile(minoots.Recurrence{Cron: text, TimeZone: zone, DST: &policy}, previous)
	require.Empty(t, bad, text)
	found := []int64{}
	for {
		next, ok := s.Next(previous, len(found))
		if !ok || next.Unix() >= to {
			return found
		}
		require.True(t, next.After(previous))
		found = append(found, next.Unix())
		previous = next
	}
}

var policies = []minoots.DSTPolicy{
	{Gap: "shift", Overlap: "first"}, {Gap: "shift", Overlap: "last"}, {Gap: "shift", Overlap: "both"},
	{Gap: "skip", Overlap: "first"}, {Gap: "skip", Overlap: "last"}, {Gap: "skip", Overlap: "both"},
}

// oddZones are those whose clocks change in other ways than by an hour at two.
var oddZones = []string{
	"America/New_York", "Europe/Paris", "Europe/Dublin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca",
	"Africa/El_Aaiun", "America/Sao_Paulo", "Asia/Beirut", "Africa/Cairo", "America/Havana", "America/Santiago",
	"America/Nuuk", "America/Scoresbysund", "Antarctica/Troll", "Antarctica/Casey", "Asia/Tehran", "Asia/Gaza",
	"Pacific/Chatham", "Pacific/Easter", "America/Caracas", "Asia/Pyongyang", "Pacific/Kwajalein", "UTC",
}

func location(t require.TestingT, name string) *time.Location {
	zone, err := tzdb.Load(name)
	require.NoError(t, err, name)
	return zone
}

// changes gives the hours in which a zone's clocks change, by walking.
func changes(zone *time.Location, from, to time.Time) []int64 {
	var found []int64
	_, before := from.In(zone).Zone()
	for at := from; at.Before(to); at = at.Add(time.Hour) {
		_, offset := at.In(zone).Zone()
		if offset != before {
			found = append(found, at.Unix())
			before = offset
		}
	}
	return found
}

// drawSet draws the text of a field and what it means.
func drawSet(t *rapid.T, name string, low, high int) (string, func(int) bool) {
	value := rapid.IntRange(low, high)
	var texts []string
	wanted := map[int]bool{}
	for range rapid.IntRange(1, 2).Draw(t, name) {
		from, to, step, text := low, high, 1, "*"
		switch rapid.IntRange(0, 3).Draw(t, name+" kind") {
		case 1:
			from = value.Draw(t, name)
			to, text = from, fmt.Sprint(from)
		case 2:
			from = value.Draw(t, name)
			to = rapid.IntRange(from, high).Draw(t, name)
			text = fmt.Sprintf("%d-%d", from, to)
		case 3:
			step = rapid.IntRange(1, high-low).Draw(t, name+" step")
			from = value.Draw(t, name)
			text = fmt.Sprintf("%d/%d", from, step)
			if from == low {
				text = fmt.Sprintf("*/%d", step)
			}
		}
		for v := from; v <= to; v += step {
			wanted[v] = true
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ","), func(v int) bool { return wanted[v] }
}

func drawSlow(t *rapid.T, seconds bool) slow {
	s := slow{second: func(v int) bool { return v == 0 }}
	var texts [6]string
	if seconds {
		texts[0], s.second = drawSet(t, "second", 0, 59)
	}
	texts[1], s.minute = drawSet(t, "minute", 0, 59)
	texts[2], s.hour = drawSet(t, "hour", 0, 23)
	day, byDay := drawSet(t, "day", 1, 31)
	month, byMonth := "*", func(int) bool { return true }
	if rapid.Bool().Draw(t, "months") {
		month, byMonth = drawSet(t, "month", 1, 12)
	}
	weekday, byWeekday := drawSet(t, "weekday", 0, 6)
	s.day, s.month = func(d time.Time) bool { return byDay(d.Day()) }, byMonth
	s.weekday = func(d time.Time) bool { return byWeekday(int(d.Weekday())) }
	switch rapid.IntRange(0, 4).Draw(t, "days") {
	case 0:
		day, s.day = "L", func(d time.Time) bool { return d.AddDate(0, 0, 1).Day() == 1 }
	case 1:
		which, nth := rapid.IntRange(0, 6).Draw(t, "weekday"), rapid.IntRange(1, 5).Draw(t, "nth")
		weekday = fmt.Sprintf("%d#%d", which, nth)
		s.weekday = func(d time.Time) bool { return int(d.Weekday()) == which && (d.Day()+6)/7 == nth }
	case 2:
		which := rapid.IntRange(0, 6).Draw(t, "weekday")
		weekday = fmt.Sprintf("%dL", which)
		s.weekday = func(d time.Time) bool { return int(d.Weekday()) == which && d.AddDate(0, 0, 7).Month() != d.Month() }
	case 3:
		day, s.day = "*", func(time.Time) bool { return true }
	}
	s.dayStarred, s.weekdayStarred = day[0] == '*', weekday[0] == '*'
	texts[3], texts[4], texts[5] = day, month, weekday
	s.text = strings.TrimSpace(strings.Join(texts[:], " "))
	return s
}

// TestAgainstReference draws expressions, zones of the whole database, moments
// near a change of clocks or anywhere from 2020 to 2040, and policies.
func TestAgainstReference(t *testing.T) {
	t.Parallel()
	names := tzdb.Names()
	slices.Sort(names)
	begin, end := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2040, 12, 31, 0, 0, 0, 0, time.UTC)
	known := map[string][]int64{}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.SampledFrom(names), rapid.SampledFrom(oddZones)).Draw(t, "zone")
		zone := location(t, name)
		if known[name] == nil {
			known[name] = append(changes(zone, begin, end), begin.Unix())
		}
		middle := rapid.SampledFrom(known[name]).Draw(t, "change")
		if rapid.IntRange(0, 9).Draw(t, "anywhere") == 0 {
			middle = rapid.Int64Range(begin.Unix(), end.Unix()).Draw(t, "middle") / 60 * 60
		}
		inSeconds := rapid.IntRange(0, 9).Draw(t, "seconds") == 0
		from, to, step := middle-30*3600, middle+30*3600, int64(60)
		if inSeconds {
			from, to, step = middle-2*3600, middle+3600, 1
		}
		s := drawSlow(t, inSeconds)
		if _, bad := Parse(s.text); len(bad) > 0 && strings.HasPrefix(bad[0], "never comes") {
			t.Skip("impossible")
		}
		policy := rapid.SampledFrom(policies).Draw(t, "policy")
		want := s.instants(zone, policy, from, to, step)
		same(t, want, fast(t, s.text, name, policy, from, to), fmt.Sprintf("%q in %s, %v", s.text, name, policy))
	})
}

// same tells the first difference only: the lists are long.
func same(t require.TestingT, want, got []int64, what string) {
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			require.Equal(t, utc(want, i), utc(got, i), "%s, number %d", what, i)
		}
	}
}

func utc(list []int64, i int) string {
	if i >= len(list) {
		return "none"
	}
	return time.Unix(list[i], 0).UTC().String()
}
