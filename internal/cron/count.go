package cron

import (
	"math"
	"math/bits"
	"sort"
	"time"
)

// Count gives how many occurrences there are after an instant and until another,
// that included, but most at most, and the last of them. It does not walk over time,
// for there may be years of it: only around changes of clocks.
func (s *Schedule) Count(after, until time.Time, most int) (n int, last time.Time) {
	first, _, ok := s.after(after, s.clock)
	if until.After(s.ends) {
		until = s.ends
	}
	if !ok || first.After(until) || most < 1 {
		return 0, time.Time{}
	}
	if every := s.recurrence.Every; every != nil {
		n = int(min(int64(until.Sub(first)/time.Duration(*every)), int64(most)-1))
		return n + 1, first.Add(time.Duration(n) * time.Duration(*every))
	}
	n, at := s.clock.count(first.Unix(), until.Unix()+1, most)
	return n, time.Unix(at, 0).UTC()
}

// count gives how many hits there are from from until before to, most at most, and
// the last of them. Where no clock changes, all walls that match are hits, and those
// are counted by days; where one does, hits are tried one by one.
func (z zoned) count(from, to int64, most int) (n int, last int64) {
	for from < to && n < most {
		s := spanAt(z.zone, from)
		calm, busy := z.change(s)
		calm, busy = min(calm, to), min(busy, to)
		if from < calm {
			lo, hi := from+s.offset, calm+s.offset
			if k := min(z.between(lo, hi), most-n); k > 0 {
				n += k
				// The k-th is the last: before the first wall behind which there are as many.
				behind := sort.Search(int(hi-lo), func(i int) bool { return z.between(lo, lo+int64(i)+1) >= k })
				last = lo + int64(behind) - s.offset
			}
			from = calm
		}
		for from < busy && n < most {
			h, ok := z.next(from, busy)
			if !ok {
				break
			}
			n, last, from = n+1, h.at, h.at+1
		}
		from = max(from, busy)
	}
	return n, last
}

// change gives the stretch around the end of a span in which walls are shown twice
// or not at all: as long before and after it as the clocks are moved. Changes that
// are near to each other are one.
func (z zoned) change(s span) (from, to int64) {
	if s.end == forever {
		return math.MaxInt64, math.MaxInt64
	}
	moved := func(s, next span) int64 { return max(s.offset-next.offset, next.offset-s.offset) }
	next := s.after(z.zone)
	by := moved(s, next)
	from, to = s.end-by, s.end+by
	for next.end != forever {
		s, next = next, next.after(z.zone)
		if by = moved(s, next); s.end-by > to {
			break
		}
		from, to = min(from, s.end-by), max(to, s.end+by)
	}
	return from, to
}

// between counts the walls that match, from from until before to.
func (e *Expression) between(from, to wall) (n int) {
	if from >= to {
		return 0
	}
	first, last := floorDay(from), floorDay(to)
	perDay := bits.OnesCount64(e.hour) * bits.OnesCount64(e.minute) * bits.OnesCount64(e.second)
	for day := first; day <= last; { // by months
		year, month, date := time.Unix(day*secondsPerDay, 0).UTC().Date()
		length := daysIn(year, month)
		days := e.daysOf(year, month)
		if day == first && days>>date&1 == 1 {
			n -= e.clocksBefore(from - first*secondsPerDay)
		}
		if left := last - day; left <= int64(length-date) { // to is in this month
			if days>>(date+int(left))&1 == 1 {
				n += e.clocksBefore(to - last*secondsPerDay)
			}
			days &= 1<<(date+int(left)) - 1 // of the days before it
		}
		n += perDay * bits.OnesCount64(days>>date)
		day += int64(length - date + 1)
	}
	return n
}

// clocksBefore counts the times of day that match, before a second of the day.
func (e *Expression) clocksBefore(second int64) int {
	h, m, s := second/3600, second/60%60, second%60
	seconds := bits.OnesCount64(e.second)
	n := bits.OnesCount64(e.hour&(1<<h-1)) * bits.OnesCount64(e.minute) * seconds
	if e.hour>>h&1 == 1 {
		n += bits.OnesCount64(e.minute&(1<<m-1)) * seconds
		if e.minute>>m&1 == 1 {
			n += bits.OnesCount64(e.second & (1<<s - 1))
		}
	}
	return n
}

func floorDay(w wall) int64 {
	day := w / secondsPerDay
	if w%secondsPerDay < 0 {
		day--
	}
	return day
}
