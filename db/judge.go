package db

import (
	"fmt"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/cron"
)

const (
	// missedMost is how many missed occurrences of a timer a claim looks at one by
	// one: 25 ms of a cron's. What lies between the last of them and those that the
	// policy still fires is counted without looking at each.
	missedMost = 10_000
	// catchUpMost is how many missed occurrences fire_all fires at most: the newest.
	catchUpMost = 1_000
	// skippedMost is how many occurrences that are skipped at once have a firing
	// each. One more stands for all others.
	skippedMost = 100
)

// judged is a timer that a claim has locked, and of which Go says what becomes.
type judged struct {
	id         minoots.ID
	recurring  bool
	unarmed    bool
	occurrence int       // so far
	fireAt     time.Time // as scheduled
	dueAt      time.Time // when a claim might take it
	anchor     time.Time // from when the recurrence counts
	recurrence []byte
	misfire    *minoots.Misfire
	jitterMs   int64
	refused    string // why no jobs can be made of its actions
}

// occurrence is one of a timer's.
type occurrence struct {
	number  int
	at, due time.Time // as scheduled, and with its jitter
	reason  string    // why it is skipped
}

// verdict is what becomes of a judged timer.
type verdict struct {
	fires     *occurrence
	skipped   []occurrence // before it
	number    int          // of the last that fires or is skipped
	next      occurrence   // if it goes on
	over      bool
	paced     bool   // next is a missed one, to be fired at the rate of catching up
	cancelled bool   // over without having fired
	failed    bool   // over because when it is due cannot be computed
	reason    string // of an end without a firing, or by failure
}

// judge says what becomes of a timer that is due. s is its schedule, nil for one
// that fires once.
//
// The next occurrence follows from the last one as scheduled, whenever that fired.
// While it is found within the grace, each occurrence fires, also late.
func (j *judged) judge(s *cron.Schedule, now time.Time) verdict {
	switch {
	case s == nil:
		return j.judgeOnce(now)
	case j.unarmed:
		next, ok := s.Next(j.fireAt, j.occurrence)
		if !ok {
			return verdict{number: j.occurrence, over: true, cancelled: true, reason: "its recurrence has no occurrence"}
		}
		return verdict{number: j.occurrence, next: j.nth(j.occurrence+1, next)}
	}
	first := j.nth(j.occurrence+1, j.fireAt)
	first.due = earlier(first.due, j.dueAt) // fired by hand, it is due without jitter
	missed, follows, whole := j.missed(s, first, now)
	kept, why := j.keeps(missed, now, whole)
	v := verdict{number: j.occurrence}
	var head, rest *occurrence
	switch {
	case kept < len(missed):
		head = &missed[kept]
	case !whole:
		head, rest = j.beyond(s, missed, now)
		follows = nil
	default:
		head = follows
	}
	v.skip(missed[:kept], rest, why)
	if head == nil {
		v.over, v.reason = true, "its last occurrences were missed"
		return v
	}
	if head.due.After(now) {
		v.next = *head
		return v
	}
	v.fires, v.number = head, head.number
	switch {
	case kept+1 < len(missed):
		v.next = missed[kept+1]
	case kept < len(missed) && whole && follows != nil:
		v.next = *follows
	default:
		next, ok := s.Next(head.at, head.number)
		if v.over = !ok; ok {
			v.next = j.nth(head.number+1, next)
		}
	}
	v.paced = !v.over && j.policy() == minoots.MisfireFireAll && now.Sub(head.due) > j.misfire.Grace() && !v.next.due.After(now)
	return v
}

// judgeOnce says what becomes of a timer that fires once.
func (j *judged) judgeOnce(now time.Time) verdict {
	o := occurrence{number: j.occurrence + 1, at: j.fireAt, due: j.dueAt}
	late := now.Sub(o.due)
	v := verdict{number: o.number, over: true}
	switch {
	case j.tooLate(late):
		o.reason = j.tooLateReason(late)
	case j.policy() == minoots.MisfireSkip && late > j.misfire.Grace():
		o.reason = fmt.Sprintf("misfire: found %s late, with a grace of %s and the policy skip", about(late), j.misfire.Grace())
	default:
		v.fires = &o
		return v
	}
	v.skipped, v.cancelled, v.reason = []occurrence{o}, true, o.reason
	return v
}

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

// nth is an occurrence with its jitter.
func (j *judged) nth(number int, at time.Time) occurrence {
	return occurrence{number: number, at: at, due: at.Add(jitter(j.id, number, j.jitterMs).Truncate(time.Microsecond))}
}

func (j *judged) policy() minoots.MisfirePolicy {
	if j.misfire == nil {
		return minoots.MisfireFireOnce
	}
	return j.misfire.Policy
}

func (j *judged) tooLate(late time.Duration) bool {
	return j.misfire != nil && j.misfire.MaxLatenessMs > 0 && late > time.Duration(j.misfire.MaxLatenessMs)*time.Millisecond
}

func (j *judged) tooLateReason(late time.Duration) string {
	return fmt.Sprintf("too late: found %s late, and maxLatenessMs is %d", about(late), j.misfire.MaxLatenessMs)
}

// about rounds a lateness for people.
func about(d time.Duration) time.Duration {
	if d > time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
