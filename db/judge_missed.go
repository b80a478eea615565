package db

import (
	"fmt"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/cron"
)

// missed lists the occurrences that are due by now, the first included, and the
// one that follows, nil at the end. It is not whole if there are too many.
func (j *judged) missed(s *cron.Schedule, first occurrence, now time.Time) (all []occurrence, follows *occurrence, whole bool) {
	all = append(make([]occurrence, 0, 2), first)
	for last := first; len(all) < missedMost; {
		at, ok := s.Next(last.at, last.number)
		if !ok {
			return all, nil, true
		}
		if last = j.nth(last.number+1, at); last.due.After(now) {
			return all, &last, true
		}
		all = append(all, last)
	}
	return all, nil, false
}

// keeps tells how many of the missed are skipped before the first that fires, and
// why they are.
func (j *judged) keeps(missed []occurrence, now time.Time, whole bool) (skipped int, why func(occurrence) string) {
	late := func(o occurrence) time.Duration { return now.Sub(o.due) }
	policy, n := "", len(missed)
	if late(missed[0]) > j.misfire.Grace() {
		switch j.policy() {
		case minoots.MisfireSkip:
			policy = fmt.Sprintf("misfire: found later than the grace of %s, with the policy skip", j.misfire.Grace())
			for skipped < n && late(missed[skipped]) > j.misfire.Grace() {
				skipped++
			}
		case minoots.MisfireFireAll:
			policy = fmt.Sprintf("misfire: of all that were missed, the newest %d fire", catchUpMost)
			if skipped = max(n-catchUpMost, 0); !whole {
				skipped = n
			}
		default:
			policy = fmt.Sprintf("misfire: fired once for %d missed", n)
			if skipped = n - 1; !whole {
				policy, skipped = fmt.Sprintf("misfire: fired once for more than %d missed", n), n
			}
		}
	}
	by := skipped
	for skipped < n && j.tooLate(late(missed[skipped])) {
		skipped++
	}
	return skipped, func(o occurrence) string {
		if j.tooLate(late(o)) || o.number > missed[0].number+by-1 {
			return j.tooLateReason(late(o))
		}
		return policy
	}
}

// beyond gives what fires or is due next of a timer that has missed more than were
// looked at, nil if nothing is, and the last that is skipped before it.
func (j *judged) beyond(s *cron.Schedule, missed []occurrence, now time.Time) (head, rest *occurrence) {
	last := missed[len(missed)-1]
	end := j.lastBy(s, last, now)
	from := last.at
	if now.Sub(missed[0].due) > j.misfire.Grace() {
		switch j.policy() {
		case minoots.MisfireSkip:
			from = now.Add(-j.misfire.Grace())
		case minoots.MisfireFireAll:
			from = s.Back(last.at, end.at, catchUpMost)
		default:
			from = s.Back(last.at, end.at, 1)
		}
	}
	if j.misfire != nil && j.misfire.MaxLatenessMs > 0 {
		from = later(from, now.Add(-time.Duration(j.misfire.MaxLatenessMs)*time.Millisecond))
	}
	skipped := j.lastBy(s, last, later(from, last.at))
	at, ok := s.Next(later(from, last.at), skipped.number)
	if !ok {
		return nil, &skipped
	}
	o := j.nth(skipped.number+1, at)
	return &o, &skipped
}

// lastBy gives the last occurrence at or before an instant, a known one if none has
// come after it.
func (j *judged) lastBy(s *cron.Schedule, known occurrence, until time.Time) occurrence {
	most := minoots.MaxOccurrence
	if limit := s.Recurrence().MaxOccurrences; limit != nil {
		most = *limit
	}
	n, at := s.Count(known.at, until, most-known.number)
	if n == 0 {
		return known
	}
	return j.nth(known.number+n, at)
}

// skip notes what is skipped: one by one, as far as they are not too many, and one
// for all others, under the number of the last of them. That is rest, unless nil: it
// may lie behind those that are listed.
func (v *verdict) skip(missed []occurrence, rest *occurrence, why func(occurrence) string) {
	if len(missed) == 0 {
		return
	}
	last := missed[len(missed)-1]
	if rest != nil {
		last = *rest
	}
	for i, o := range missed {
		o.reason = why(o)
		if others := last.number - o.number + 1; i == skippedMost && others > 1 {
			o.reason = fmt.Sprintf("%s; stands for %d occurrences from this to %s", o.reason, others, minoots.InstantOf(last.at))
			o.number = last.number
			v.skipped = append(v.skipped, o)
			break
		}
		v.skipped = append(v.skipped, o)
	}
	v.number = last.number
}
