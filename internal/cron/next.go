package cron

import (
	"slices"
	"time"

	"github.com/minoots/minoots"
)

// hit is an instant at which an expression fires in a zone.
type hit struct {
	at    int64 // Unix seconds
	wall  wall  // that the expression names; another than the clocks show, if shifted
	times int   // that the clocks show it: 0 in a gap, 2 in an overlap
	which int   // of these times, from 0
}

// zoned is an expression in a zone.
type zoned struct {
	*Expression
	zone    *time.Location
	overlap string
	skip    bool // what is in a gap
}

// next gives the first hit at or after from and before limit. Between windows it jumps to the next wall that matches, so what it
// costs does not depend on how far that is.
func (z zoned) next(from, limit int64) (hit, bool) {
	for from < limit {
		w, ok := z.Expression.next(from - reach)
		if !ok {
			return hit{}, false
		}
		from = max(from, w-reach)
		to := from + 2*reach
		if found, ok := z.within(from, to); ok {
			return found, found.at < limit
		}
		from = to
	}
	return hit{}, false
}

// within gives the first hit from from until before to.
func (z zoned) within(from, to int64) (best hit, ok bool) {
	take := func(h hit, found bool) {
		if !found || h.at < from || h.at >= to {
			return
		}
		if !ok || h.at < best.at || h.at == best.at && h.times > 0 { // two that meet are one
			best, ok = h, true
		}
	}
	for s := spanAt(z.zone, from-reach); s.start < to && (!ok || s.start <= best.at); {
		take(z.regular(s, from, to))
		next := s.after(z.zone)
		if next.offset > s.offset && !z.skip {
			take(z.shifted(s, next, from))
		}
		s = next
	}
	return best, ok
}

// regular gives the first hit in a span whose wall the clocks show.
func (z zoned) regular(s span, from, to int64) (hit, bool) {
	end := min(s.end, to) + s.offset
	w, ok := z.Expression.next(max(s.start, from) + s.offset)
	for ok && w < end {
		spans := []span{s}
		if w-s.offset-s.start <= reach || s.end-(w-s.offset) <= reach { // else nothing is near
			spans = instantsOf(z.zone, w)
		}
		which := slices.IndexFunc(spans, func(o span) bool { return o.offset == s.offset })
		other := -1 // the span whose instant is taken in place of this one's
		if z.overlap == minoots.OverlapFirst && which > 0 {
			other = 0
		}
		if z.overlap == minoots.OverlapLast && which < len(spans)-1 {
			other = len(spans) - 1
		}
		if other < 0 {
			return hit{at: w - s.offset, wall: w, times: len(spans), which: which}, true
		}
		w, ok = z.Expression.next(spans[other].wallEnd()) // all until there is shown in both
	}
	return hit{}, false
}

// shifted gives the first hit from from on whose wall is in the gap between two
// spans. By the clocks that ran before the gap it is as long after the gap's
// beginning as it would have been.
func (z zoned) shifted(before, after span, from int64) (hit, bool) {
	w, ok := z.Expression.next(max(after.start, from) + before.offset)
	for ok && w < after.start+after.offset {
		spans := instantsOf(z.zone, w)
		if len(spans) == 0 {
			return hit{at: w - before.offset, wall: w}, true
		}
		w, ok = z.Expression.next(spans[0].wallEnd()) // shown at another time after all
	}
	return hit{}, false
}
