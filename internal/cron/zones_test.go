package cron

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/tzdb"
)

// TestEveryZone holds whole years of each zone to the reference's rules, from
// tables that are filled by walking over every minute. A normal run takes a zone
// in forty, besides the odd ones, in 2028, a leap year; to take all zones from 2020
// to 2040, which is several minutes:
//
//	MINOOTS_TEST_ZONES=all go test ./internal/cron -run EveryZone -timeout 60m -v
func TestEveryZone(t *testing.T) {
	t.Parallel()
	names, years := tzdb.Names(), [2]int{2028, 2028}
	slices.Sort(names)
	if os.Getenv("MINOOTS_TEST_ZONES") == "all" {
		years = [2]int{2020, 2040}
	} else {
		some := slices.Clone(oddZones)
		for i := 0; i < len(names); i += 40 {
			some = append(some, names[i])
		}
		names = some
	}
	table := newMinutes(years[0], years[1])
	instants := 0
	for _, name := range names {
		table.fill(location(t, name))
		for i, s := range everyZoneSpecs {
			policy := policies[i%len(policies)]
			want := table.instants(s, policy)
			same(t, want, fast(t, s.text, name, policy, table.from, table.to), fmt.Sprintf("%q in %s, %v", s.text, name, policy))
			instants += len(want)
		}
	}
	t.Logf("%d zones, %d to %d: %d instants", len(names), years[0], years[1], instants)
}

// minuteOf tries a minute of the clocks.
type minuteOf struct {
	text    string
	matches func(shown time.Time) bool
}

func at(shown time.Time, hour, minute int) bool {
	return shown.Hour() == hour && shown.Minute() == minute
}

// everyZoneSpecs meets each policy twice. Clocks change at all hours, but most
// at midnight, one, two and three.
var everyZoneSpecs = []minuteOf{
	{"30 2 * * *", func(s time.Time) bool { return at(s, 2, 30) }},
	{"0 0 * * *", func(s time.Time) bool { return at(s, 0, 0) }},
	{"30 1 * * *", func(s time.Time) bool { return at(s, 1, 30) }},
	{"*/20 0-3 * * SAT,SUN", func(s time.Time) bool { return s.Minute()%20 == 0 && s.Hour() < 4 && s.Weekday()%6 == 0 }},
	{"15 */6 * * *", func(s time.Time) bool { return s.Minute() == 15 && s.Hour()%6 == 0 }},
	{"0 2 L * *", func(s time.Time) bool { return at(s, 2, 0) && s.AddDate(0, 0, 1).Day() == 1 }},
	{"45 1,23 * 3,10 SUN", func(s time.Time) bool {
		return s.Minute() == 45 && (s.Hour() == 1 || s.Hour() == 23) && (s.Month() == 3 || s.Month() == 10) && s.Weekday() == 0
	}},
	{"0 * * * 0", func(s time.Time) bool { return s.Minute() == 0 && s.Weekday() == 0 }},
	{"30 3 29,31 * *", func(s time.Time) bool { return at(s, 3, 30) && (s.Day() == 29 || s.Day() == 31) }},
	{"0 12 13 * 5", func(s time.Time) bool { return at(s, 12, 0) && (s.Day() == 13 || s.Weekday() == 5) }},
	{"59 23 * * *", func(s time.Time) bool { return at(s, 23, 59) }},
	{"*/30 2 1-14 3,4,9,10,11 *", func(s time.Time) bool {
		return s.Minute()%30 == 0 && s.Hour() == 2 && s.Day() < 15 && slices.Contains([]time.Month{3, 4, 9, 10, 11}, s.Month())
	}},
}

// minuteTable says for each minute that clocks can show at which minutes they do.
type minuteTable struct {
	from, to    int64
	first, last []int32 // minutes after from, by minute shown; 0 for none
	offsets     []int32 // by minute
	shown       map[string][]int64
}

const edge = 3 * 24 * 3600 // so that the ends have neighbours

func newMinutes(from, to int) *minuteTable {
	m := &minuteTable{
		from: time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), to: time.Date(to+1, 1, 1, 0, 0, 0, 0, time.UTC).Unix(),
		shown: map[string][]int64{},
	}
	n := (m.to - m.from + 2*edge) / 60
	m.first, m.last, m.offsets = make([]int32, n), make([]int32, n), make([]int32, n)
	for _, s := range everyZoneSpecs {
		for shown := m.from - edge/2; shown < m.to+edge/2; shown += 60 {
			if s.matches(time.Unix(shown, 0).UTC()) {
				m.shown[s.text] = append(m.shown[s.text], shown)
			}
		}
	}
	return m
}

// fill walks over all minutes. The time package is asked every quarter of an
// hour, and every minute where its answers differ.
func (m *minuteTable) fill(zone *time.Location) {
	begin := m.from - edge
	offset := func(i int) int32 {
		_, o := time.Unix(begin+int64(i)*60, 0).In(zone).Zone()
		return int32(o)
	}
	clear(m.first)
	clear(m.last)
	const quarter = 15
	for i := 0; i < len(m.offsets); i += quarter {
		now, later := offset(i), offset(i+quarter)
		for j := i; j < min(i+quarter, len(m.offsets)); j++ {
			m.offsets[j] = now
			if now != later {
				m.offsets[j] = offset(j)
			}
		}
	}
	for i, o := range m.offsets {
		shown := i + int(o)/60
		if shown < 0 || shown >= len(m.first) {
			continue
		}
		if m.first[shown] == 0 {
			m.first[shown] = int32(i)
		}
		m.last[shown] = int32(i)
	}
}

func (m *minuteTable) instants(s minuteOf, policy minoots.DSTPolicy) []int64 {
	begin := m.from - edge
	found := []int64{}
	for _, shown := range m.shown[s.text] {
		i := int((shown - begin) / 60)
		first, last := m.first[i], m.last[i]
		switch {
		case first == 0 && policy.Gap == minoots.GapSkip:
			continue
		case first == 0:
			before := i
			for m.last[before] == 0 { // back to what the clocks showed before the gap
				before--
			}
			first = m.last[before] + int32(i-before)
			last = first
		}
		switch policy.Overlap {
		case minoots.OverlapFirst:
			last = first
		case minoots.OverlapLast:
			first = last
		}
		found = append(found, begin+int64(first)*60)
		if last != first {
			found = append(found, begin+int64(last)*60)
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return slices.DeleteFunc(found, func(at int64) bool { return at < m.from || at >= m.to })
}

// TestLeapYearsEnd is where Go says that a span ended yesterday.
func TestLeapYearsEnd(t *testing.T) {
	t.Parallel()
	zone := location(t, "America/New_York")
	for hour := range 48 {
		second := time.Date(2040, 12, 30, 12, 0, 0, 0, time.UTC).Add(time.Duration(hour) * time.Hour).Unix()
		s := spanAt(zone, second)
		require.Less(t, second, s.end)
		require.LessOrEqual(t, s.start, second)
		require.Greater(t, s.after(zone).end, s.end)
	}
}
