package cron

import (
	"fmt"
	"time"

	"github.com/minoots/minoots"
)

// Bounds are what recurrences of one kind may differ by: when they begin and end.
// A nil field is no bound.
type Bounds struct {
	StartAt, EndAt *minoots.Instant
	MaxOccurrences *int
}

// Within gives the schedule as of a recurrence that was created at another instant
// and has other bounds, without reading the expression again.
func (s *Schedule) Within(created time.Time, bounds Bounds) *Schedule {
	c := *s
	c.recurrence.StartAt, c.recurrence.EndAt, c.recurrence.MaxOccurrences = bounds.StartAt, bounds.EndAt, bounds.MaxOccurrences
	c.begins, c.ends, c.anchor = created.Add(1), created.Add(lifetime), created
	if bounds.StartAt != nil {
		c.anchor = bounds.StartAt.Time
		if c.anchor.After(created) {
			c.begins = c.anchor
		}
	}
	if bounds.EndAt != nil {
		c.ends = bounds.EndAt.Time
	}
	return &c
}

// Back gives an instant after which, and until another, there are n occurrences
// at most: exactly n, if there are so many after known. It does not walk over
// time, for there may be years of it.
func (s *Schedule) Back(known, until time.Time, n int) time.Time {
	fits := func(after time.Time) bool {
		for range n {
			next, _, ok := s.after(after, s.clock)
			if !ok || next.After(until) {
				return true
			}
			after = next
		}
		next, _, ok := s.after(after, s.clock)
		return !ok || next.After(until)
	}
	if fits(known) {
		return known
	}
	low, high := known, until
	for high.Sub(low) > minoots.MinEvery/2 { // in which there is one at most
		if middle := low.Add(high.Sub(low) / 2); fits(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// looksAhead is how many occurrences CheckTimer looks at for the shortest time
// between two.
const looksAhead = 50

// CheckTimer is minoots.Checks.Recurrence: it tells what is wrong with a timer's
// recurrence, and with its jitter beside that. Paths are those of the spec.
func CheckTimer(spec *minoots.TimerSpec, now time.Time) []minoots.FieldError {
	s, bad := Check(*spec.Recurrence, now)
	if bad != nil {
		return below("recurrence", bad)
	}
	if spec.JitterMs <= 0 {
		return nil
	}
	if shortest := s.shortest(now); shortest > 0 && time.Duration(spec.JitterMs)*time.Millisecond >= shortest {
		return []minoots.FieldError{{Path: "jitterMs", Message: fmt.Sprintf(
			"would swallow the next occurrence; must be less than %d, the shortest time between two occurrences (%s)",
			shortest.Milliseconds(), minoots.Duration(shortest))}}
	}
	return nil
}

// shortest gives the shortest time between two of the next occurrences, 0 if
// there is but one.
func (s *Schedule) shortest(now time.Time) (shortest time.Duration) {
	if s.recurrence.Every != nil {
		return time.Duration(*s.recurrence.Every)
	}
	previous, ok := s.Next(now, 0)
	for n := 1; ok && n < looksAhead; n++ {
		var next time.Time
		if next, ok = s.Next(previous, n); !ok {
			break
		}
		if gap := next.Sub(previous); shortest == 0 || gap < shortest {
			shortest = gap
		}
		previous = next
	}
	return shortest
}
