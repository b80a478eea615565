package cron

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// field is one field of an expression and what may stand in it.
type field struct {
	name     string
	min, max int
	names    []string // of min, min+1, ...
}

var (
	seconds  = field{"second", 0, 59, nil}
	minutes  = field{"minute", 0, 59, nil}
	hours    = field{"hour", 0, 23, nil}
	days     = field{"day of month", 1, 31, nil}
	months   = field{"month", 1, 12, strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")}
	weekdays = field{"day of week", 0, 7, strings.Fields("SUN MON TUE WED THU FRI SAT")}
)

// parse reads a list of values, ranges and steps. L and # go straight into e.
func (f *field) parse(text string, e *Expression) (uint64, error) {
	var set uint64
	for item := range strings.SplitSeq(text, ",") {
		special, err := f.special(strings.ToUpper(item), e)
		if err != nil {
			return 0, err
		}
		if special {
			continue
		}
		values, err := f.item(item)
		if err != nil {
			return 0, err
		}
		set |= values
	}
	if f.max == 7 { // both 0 and 7 are Sunday
		set = (set | set>>7) & 0x7f
	}
	return set, nil
}

// special reads the items that are not sets of numbers: L, 5L and 5#3.
func (f *field) special(item string, e *Expression) (bool, error) {
	last, isLast := strings.CutSuffix(item, "L")
	weekday, nth, isNth := strings.Cut(item, "#")
	if !isNth && (!isLast || f.max == 12) { // JUL ends with L
		return false, nil
	}
	switch {
	case isNth && f.max != 7:
		return false, fmt.Errorf("# is for days of the week only, as in 5#3 or FRI#3, the third Friday")
	case isLast && f.max == 31 && last == "":
		e.lastDay = true
		return true, nil
	case isLast && f.max != 7:
		return false, fmt.Errorf("want L alone for the last day of the month, in the third field, or 5L for the last Friday, in the fifth")
	case isLast && last == "":
		return false, fmt.Errorf("before L want a day, as in 5L or FRIL, the last Friday of the month")
	case isLast:
		weekday = last
	}
	day, err := f.value(weekday)
	if err != nil {
		return false, err
	}
	if isLast {
		e.lastWeek |= 1 << (day % 7)
		return true, nil
	}
	if len(nth) != 1 || nth[0] < '1' || nth[0] > '5' {
		return false, fmt.Errorf("after # want 1 to 5, as in %d#1, the first in the month", day)
	}
	e.nth[day%7] |= 1 << (nth[0] - '0')
	return true, nil
}

// item reads *, a value or a range, with or without a step.
func (f *field) item(item string) (uint64, error) {
	span, stepText, stepped := strings.Cut(item, "/")
	from, to, err := f.span(span, stepped)
	if err != nil {
		return 0, err
	}
	step := 1
	if stepped {
		if step, err = f.step(stepText); err != nil {
			return 0, err
		}
	}
	var set uint64
	for v := from; v <= to; v += step {
		set |= 1 << v
	}
	return set, nil
}

// span reads what stands before a step: *, a value, a-b. A single value before a
// step goes to the end, as in 5/15.
func (f *field) span(text string, stepped bool) (from, to int, err error) {
	if text == "*" {
		if f.max == 7 { // 7 is Sunday again, and */2 must not name it twice
			return 0, 6, nil
		}
		return f.min, f.max, nil
	}
	first, last, isRange := strings.Cut(text, "-")
	if from, err = f.value(first); err != nil {
		return 0, 0, err
	}
	switch {
	case isRange:
		to, err = f.value(last)
	case stepped:
		to = max(from, f.last())
	default:
		to = from
	}
	if err != nil {
		return 0, 0, err
	}
	if isRange && f.max == 7 && to == 0 && from > 0 { // FRI-SUN
		to = 7
	}
	if from > to {
		return 0, 0, fmt.Errorf("%s runs backwards; for both ends write %d-%d,%d-%d", quote(text), from, f.last(), f.min, to)
	}
	return from, to, nil
}

// last is the greatest value, but for the second name of Sunday.
func (f *field) last() int {
	if f.max == 7 {
		return 6
	}
	return f.max
}

func (f *field) step(text string) (int, error) {
	most := f.last() - f.min
	step, err := number(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("after / want a step from 1 to %d, not %s", most, quote(text))
	case step < 1 || step > most:
		return 0, fmt.Errorf("a step of %s is not from 1 to %d; for other intervals give every instead of cron", text, most)
	}
	return step, nil
}

// value reads a number or a name.
func (f *field) value(text string) (int, error) {
	if at := slices.Index(f.names, strings.ToUpper(text)); at >= 0 {
		return f.min + at, nil
	}
	v, err := number(text)
	switch {
	case err == nil && (v < f.min || v > f.max):
		return 0, fmt.Errorf("%d is not from %d to %d", v, f.min, f.max)
	case err == nil:
		return v, nil
	case text == "":
		return 0, fmt.Errorf("a value is missing; want %s", f.wants())
	case strings.ContainsAny(text, "?"):
		return 0, fmt.Errorf("? is of another dialect; write * (and count weekdays from 0, Sunday)")
	case len(text) > 1 && strings.HasSuffix(strings.ToUpper(text), "W"):
		return 0, fmt.Errorf("the nearest weekday, W, is not supported; want %s", f.wants())
	default:
		return 0, fmt.Errorf("%s is not understood; want %s", quote(text), f.wants())
	}
}

func (f *field) wants() string {
	text := fmt.Sprintf("%d to %d", f.min, f.max)
	switch {
	case f.max == 31:
		text += ", or L for the last"
	case f.names != nil:
		text += fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	return text
}

// number reads decimal digits without a sign.
func number(text string) (int, error) {
	if len(text) > 9 || strings.ContainsAny(text, "+-") {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(text)
}
