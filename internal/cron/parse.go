package cron

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Expression is a cron expression that has been read: for each field the set of
// values that it names, bit n for n. Its zero value matches nothing.
type Expression struct {
	second, minute, hour, month uint64

	day      uint64 // of the month
	lastDay  bool   // L
	weekday  uint64 // bit 0 is Sunday
	lastWeek uint64 // 5L: the last Friday, by weekday
	nth      [7]uint64

	// Vixie cron's rule: with a star at the beginning of either field a day must
	// be in both, else it must be in one.
	dayStar, weekdayStar bool
}

// macros are the names that stand for an expression.
var macros = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

const wantFields = `want 5 fields (minute, hour, day of month, month, day of week), such as "0 9 * * MON-FRI", or 6 with seconds first`

// Parse reads an expression. It reports every mistake, each as a sentence that
// says what would be right.
func Parse(text string) (*Expression, []string) {
	fields := strings.Fields(text)
	switch {
	case len(fields) == 0:
		return nil, []string{"is empty: " + wantFields}
	case strings.HasPrefix(fields[0], "@"):
		return parseMacro(fields)
	case strings.Contains(fields[0], "TZ="):
		return nil, []string{"must not name the zone; give it in timeZone"}
	case len(fields) == 7:
		return nil, []string{"has 7 fields: " + wantFields + "; for certain years use startAt and endAt"}
	case len(fields) != 5 && len(fields) != 6:
		return nil, []string{fmt.Sprintf("has %d of its fields: %s", len(fields), wantFields)}
	}
	if len(fields) == 5 {
		fields = append([]string{"0"}, fields...)
	}
	return parseFields(fields)
}

func parseMacro(fields []string) (*Expression, []string) {
	name := strings.ToLower(fields[0])
	meaning, ok := macros[name]
	switch {
	case name == "@every":
		return nil, []string{`@every is a field of its own: give "every": "15m" instead of cron`}
	case name == "@reboot":
		return nil, []string{"@reboot is no time: a service that starts can create a timer itself"}
	case !ok:
		return nil, []string{quote(fields[0]) + " is not known: want one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly"}
	case len(fields) > 1:
		return nil, []string{name + " stands alone: nothing may follow it"}
	}
	return parseFields(strings.Fields("0 " + meaning))
}

func parseFields(fields []string) (*Expression, []string) {
	var e Expression
	var bad []string
	for i, f := range []struct {
		kind field
		set  *uint64
	}{
		{seconds, &e.second}, {minutes, &e.minute}, {hours, &e.hour},
		{days, &e.day}, {months, &e.month}, {weekdays, &e.weekday},
	} {
		set, err := f.kind.parse(fields[i], &e)
		*f.set = set
		if err != nil {
			bad = append(bad, f.kind.name+": "+err.Error())
		}
	}
	e.dayStar, e.weekdayStar = strings.HasPrefix(fields[3], "*"), strings.HasPrefix(fields[5], "*")
	if bad == nil && !e.possible() {
		bad = append(bad, e.impossible())
	}
	if bad != nil {
		return nil, bad
	}
	return &e, nil
}

// EveryHour tells whether the expression names all hours of the day: it is an
// interval in the guise of a clock time.
func (e *Expression) EveryHour() bool { return e.hour == 1<<24-1 }

// possible tells whether there is any day that matches. In 28 years without a
// century's exception, each length of February meets each weekday.
func (e *Expression) possible() bool {
	for year := 2000; year < 2028; year++ {
		for month := time.January; month <= time.December; month++ {
			if e.daysOf(year, month) != 0 {
				return true
			}
		}
	}
	return false
}

// impossible says why there is no such day.
func (e *Expression) impossible() string {
	const none = "never comes: "
	if !e.weekdayStar || e.day == 0 {
		return none + "no day of these months is both that day of the month and that day of the week"
	}
	longest, names := 0, []string{}
	for month := time.January; month <= time.December; month++ {
		if e.month>>month&1 == 1 {
			longest = max(longest, daysIn(2000, month))
			names = append(names, month.String())
		}
	}
	return fmt.Sprintf("%s%s has no day %d; want 1 to %d, or L for the last day of the month",
		none, strings.Join(names, " or "), bits.TrailingZeros64(e.day), longest)
}

// quote shows a piece of the caller's text, cut short.
func quote(s string) string {
	if r := []rune(s); len(r) > 20 {
		s = string(r[:20]) + "…"
	}
	return strconv.Quote(s)
}
