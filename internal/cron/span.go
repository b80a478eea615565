package cron

import (
	"math"
	"time"
)

// reach is more seconds than any zone is away from UTC, and than any clock was
// ever moved at once (24 hours, where the date line moved).
const reach = 26 * 60 * 60

// forever is the end of a zone's last span.
const forever = math.MaxInt64 / 2

// span is a stretch of time in which a zone's clocks run on: from start until
// before end, in Unix seconds, they show the seconds plus offset.
type span struct{ start, end, offset int64 }

// spanAt gives the span that a Unix second is in. A span may end although the
// next has the same offset: where names change, and at the turn of years.
func spanAt(zone *time.Location, second int64) span {
	t := time.Unix(second, 0).In(zone)
	from, to := t.ZoneBounds()
	_, offset := t.Zone()
	s := span{-forever, forever, int64(offset)}
	if !from.IsZero() {
		s.start = from.Unix()
	}
	if !to.IsZero() {
		s.end = to.Unix()
	}
	if s.end <= second {
		// Go ends the last span of a year 365 days after its first, so that on 31
		// December of a leap year the end is past (Go 1.26, zoneinfo.go, tzset).
		s.end = second - second%secondsPerDay + secondsPerDay
	}
	return s
}

// after gives the span that follows s.
func (s span) after(zone *time.Location) span {
	if s.end == forever {
		return span{forever, forever, s.offset}
	}
	next := spanAt(zone, s.end)
	next.start = s.end
	return next
}

// wallEnd is the first wall that the clocks do not get to in s.
func (s span) wallEnd() wall { return s.end + s.offset }

// instantsOf gives the spans in which the clocks show w, in order: one, none in
// a gap, two in an overlap.
func instantsOf(zone *time.Location, w wall) (found []span) {
	for s := spanAt(zone, w-reach); s.start <= w+reach; s = s.after(zone) {
		if at := w - s.offset; s.start <= at && at < s.end {
			found = append(found, s)
		}
	}
	return found
}
