package cron

import (
	"math/bits"
	"time"
)

// A wall is what a clock on the wall shows, as the seconds that a clock in UTC
// would have run to show the same. It is a date and a time of day, not an
// instant: a zone has one, none or two instants for it.
type wall = int64

const secondsPerDay = 24 * 60 * 60

// maxMonths bounds the search for a day. The rarest are 40 years apart: a certain
// weekday on 29 February, around a year like 2100.
const maxMonths = 41 * 12

// next gives the first wall at or after from that matches. It does not walk over
// time: a month's days are one bit set, and so are hours, minutes and seconds.
func (e *Expression) next(from wall) (wall, bool) {
	start := time.Unix(from, 0).UTC()
	year, month, day := start.Date()
	if at, ok := e.nextClock(start); ok && e.daysOf(year, month)>>day&1 == 1 {
		return at, true
	}
	day++
	for range maxMonths {
		if left := e.daysOf(year, month) >> day << day; left != 0 {
			at := time.Date(year, month, bits.TrailingZeros64(left), bits.TrailingZeros64(e.hour),
				bits.TrailingZeros64(e.minute), bits.TrailingZeros64(e.second), 0, time.UTC)
			return at.Unix(), true
		}
		day = 1
		if month++; month > time.December {
			year, month = year+1, time.January
		}
	}
	return 0, false
}

// nextClock gives the first matching time of day at or after t's, on the same day.
func (e *Expression) nextClock(t time.Time) (wall, bool) {
	h, m, s := t.Clock()
	midnight := t.Unix() - int64(h*3600+m*60+s)
	at := func(h, m, s int) (wall, bool) { return midnight + int64(h*3600+m*60+s), true }
	firstMinute, firstSecond := bits.TrailingZeros64(e.minute), bits.TrailingZeros64(e.second)
	if e.hour>>h&1 == 1 {
		if e.minute>>m&1 == 1 {
			if left := e.second >> s << s; left != 0 {
				return at(h, m, bits.TrailingZeros64(left))
			}
		}
		if left := e.minute >> (m + 1) << (m + 1); left != 0 {
			return at(h, bits.TrailingZeros64(left), firstSecond)
		}
	}
	if left := e.hour >> (h + 1) << (h + 1); left != 0 {
		return at(bits.TrailingZeros64(left), firstMinute, firstSecond)
	}
	return 0, false
}

// daysOf gives the days of a month that match, bit n for day n.
func (e *Expression) daysOf(year int, month time.Month) uint64 {
	if e.month>>month&1 == 0 {
		return 0
	}
	length := daysIn(year, month)
	byDate := e.day
	if e.lastDay {
		byDate |= 1 << length
	}
	byWeekday := e.weekdaysOf(length, time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Weekday())
	if e.dayStar || e.weekdayStar {
		byDate &= byWeekday
	} else {
		byDate |= byWeekday
	}
	return byDate & (1<<(length+1) - 2)
}

// weekdaysOf gives the days that the field of weekdays names, in a month of a
// length that begins with a weekday.
func (e *Expression) weekdaysOf(length int, begins time.Weekday) (set uint64) {
	const weekly = 1<<0 | 1<<7 | 1<<14 | 1<<21 | 1<<28
	for weekday := range 7 {
		first := 1 + (weekday-int(begins)+7)%7
		if e.weekday>>weekday&1 == 1 {
			set |= weekly << first
		}
		if e.lastWeek>>weekday&1 == 1 {
			set |= 1 << (first + (length-first)/7*7)
		}
		for nth := range 5 {
			if e.nth[weekday]>>(nth+1)&1 == 1 {
				set |= 1 << (first + 7*nth)
			}
		}
	}
	return set
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
