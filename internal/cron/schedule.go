// Package cron computes when a minoots.Recurrence is due: it reads expressions,
// knows the zones (internal/tzdb) and applies the policy for changes of clocks.
//
//	parse.go, field.go   the text of an expression, into sets of bits
//	wall.go              the next date and time of day that the sets name
//	span.go              a zone, as stretches of time with one offset each
//	next.go              the two together: instants, gaps and overlaps
//	schedule.go          a recurrence as a whole: bounds, every, what is not valid
//	walk.go              what a timer asks beyond its next instant
//	preview.go           the next instants with notes, for people
package cron

import (
	"fmt"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/tzdb"
)

// Schedule is a Recurrence ready to compute. It does not change and may be used
// by many goroutines.
type Schedule struct {
	recurrence minoots.Recurrence // with its defaults written out
	begins     time.Time          // nothing is due before
	ends       time.Time          // nothing is due after
	anchor     time.Time          // every counts from here
	clock      zoned              // of a cron
}

// lifetime is when a recurrence without an end is over. A time.Duration holds 292
// years, and a recurrence may have begun to count 100 years before its creation.
const lifetime = minoots.MaxHorizon / 2 * 3

// Compile makes a schedule of a recurrence that was created at an instant. It
// reports every mistake that can be seen, those of Recurrence.Validate too, with
// paths below "recurrence".
func Compile(r minoots.Recurrence, created time.Time) (*Schedule, []minoots.FieldError) {
	bad := r.Validate(created)
	s := &Schedule{recurrence: r}
	if r.TimeZone == "" {
		s.recurrence.TimeZone = time.UTC.String()
	}
	zone, err := tzdb.Load(s.recurrence.TimeZone)
	if err != nil {
		bad = append(bad, minoots.FieldError{Path: "timeZone", Message: unknownZone(r.TimeZone)})
	}
	s.clock = zoned{zone: zone}
	if r.Cron != "" && len(r.Cron) <= minoots.MaxCron {
		var mistakes []string
		s.clock.Expression, mistakes = Parse(r.Cron)
		for _, m := range mistakes {
			bad = append(bad, minoots.FieldError{Path: "cron", Message: m})
		}
	}
	if len(bad) > 0 {
		return nil, bad
	}
	s.setPolicy()
	return s.Within(created, Bounds{r.StartAt, r.EndAt, r.MaxOccurrences}), nil
}

// Check tells what is wrong with a recurrence that is to be created now: what
// Compile tells, and whether it would ever be due.
func Check(r minoots.Recurrence, now time.Time) (*Schedule, []minoots.FieldError) {
	s, bad := Compile(r, now)
	if bad != nil {
		return nil, bad
	}
	if _, ok := s.Next(now, 0); ok {
		return s, nil
	}
	endless := *s
	endless.ends = now.Add(lifetime)
	if first, ok := endless.Next(now, 0); ok {
		return nil, []minoots.FieldError{{Path: "endAt", Message: fmt.Sprintf(
			"is before the first occurrence (%s); must be at or after it", minoots.InstantOf(first))}}
	}
	return nil, []minoots.FieldError{{Path: "cron", Message: fmt.Sprintf(
		"is never due in the hundred years from %s: its local time never exists in the zone; want another time, or dst.gap shift",
		minoots.InstantOf(s.begins))}}
}

func unknownZone(name string) string {
	if similar := tzdb.Similar(name); similar != "" {
		return fmt.Sprintf("is written %q", similar)
	}
	return fmt.Sprintf(`is not in the time zone database (%s): want an IANA name such as "Europe/Paris", not an abbreviation or offset; `+
		`for a fixed offset two hours ahead of UTC want "Etc/GMT-2"`, tzdb.Version())
}

// setPolicy writes out what is done when clocks change. A cron that names every
// hour is an interval: were the second of two like hours left out, a job of every
// 15 minutes would rest for an hour once a year.
func (s *Schedule) setPolicy() {
	if s.clock.Expression == nil {
		return
	}
	dst := minoots.DSTPolicy{Gap: minoots.GapShift, Overlap: minoots.OverlapFirst}
	if s.clock.EveryHour() {
		dst.Overlap = minoots.OverlapBoth
	}
	if given := s.recurrence.DST; given != nil && given.Gap != "" {
		dst.Gap = given.Gap
	}
	if given := s.recurrence.DST; given != nil && given.Overlap != "" {
		dst.Overlap = given.Overlap
	}
	s.recurrence.DST = &dst
	s.clock.overlap, s.clock.skip = dst.Overlap, dst.Gap == minoots.GapSkip
}

// Recurrence gives what the schedule was made of, with the defaults written out.
func (s *Schedule) Recurrence() minoots.Recurrence { return s.recurrence }

// Next gives the first instant after the previous scheduled one, or after the
// creation; fired counts the occurrences so far. It is false when the recurrence
// is over. What is due follows from the scheduled instants only and not from when
// a timer really fired, so nothing drifts.
func (s *Schedule) Next(previous time.Time, fired int) (time.Time, bool) {
	if most := s.recurrence.MaxOccurrences; most != nil && fired >= *most {
		return time.Time{}, false
	}
	next, _, ok := s.after(previous, s.clock)
	return next, ok
}

// after gives the next instant, and for a cron how it came about.
func (s *Schedule) after(previous time.Time, clock zoned) (time.Time, hit, bool) {
	from := previous.Add(1) // after an instant is at the next nanosecond or later
	if from.Before(s.begins) {
		from = s.begins
	}
	if from.After(s.ends) {
		return time.Time{}, hit{}, false
	}
	var next time.Time
	var how hit
	if every := s.recurrence.Every; every != nil {
		next = s.tick(from, time.Duration(*every))
	} else {
		first := from.Unix()
		if from.Nanosecond() > 0 {
			first++
		}
		var ok bool
		if how, ok = clock.next(first, first+int64(minoots.MaxHorizon/time.Second)); !ok {
			return time.Time{}, hit{}, false
		}
		next = time.Unix(how.at, 0).UTC()
	}
	return next, how, !next.After(s.ends)
}

// tick gives the first multiple of every, counted from the anchor, at or after
// from.
func (s *Schedule) tick(from time.Time, every time.Duration) time.Time {
	gone := from.Sub(s.anchor)
	if gone <= 0 {
		return s.anchor
	}
	before := (gone - 1) / every * every
	return minoots.InstantOf(s.anchor.Add(before).Add(every)).Time
}
