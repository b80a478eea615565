package db

import (
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

// eventHead is what the first row of a page says.
type eventHead struct {
	texts            []string
	s                snapshot // that the page is of
	now              bool
	highest, dropped uint64
	xmax             uint64 // of the server, now
	log              uint32
}

func (h *eventHead) scan(rows pgx.Rows) (at time.Time, err error) {
	if err := rows.Scan(nil, nil, &at, nil, nil, nil, nil, nil, nil, &h.texts); err != nil {
		return at, err
	}
	if len(h.texts) != 6 {
		return at, fmt.Errorf("read the log: a head of %d texts", len(h.texts))
	}
	h.now = h.texts[1] == "true"
	if h.s, err = parseSnapshot(h.texts[0]); err != nil {
		return at, err
	}
	for i, to := range []*uint64{&h.highest, nil, &h.dropped, &h.xmax} {
		if to == nil {
			continue
		}
		if *to, err = strconv.ParseUint(h.texts[2+i], 10, 64); err != nil {
			return at, err
		}
	}
	log, err := strconv.ParseUint(h.texts[3], 10, 32)
	h.log = uint32(log)
	return at, err
}

// admit refuses cursors that this log cannot have given, and those behind which
// retention has dropped events.
//
// What was dropped before the cursor's place was noted is no loss; nor is what its
// snapshot had seen.
func (h *eventHead) admit(c EventCursor) error {
	switch {
	case c.log != h.log:
		return &minoots.Error{
			Code: minoots.CodeInvalid, Message: "the cursor is of another log: was it of another server, or from before a backup was restored?",
			Hint: "begin anew with oldest or latest",
		}
	case c.p.xmax > h.xmax || c.after > 0 && c.s.xmax > h.xmax || c.base > h.dropped:
		return &minoots.Error{
			Code: minoots.CodeInvalid, Message: "the cursor is ahead of the log: is it from before a backup was restored?",
			Hint: "begin anew with oldest or latest",
		}
	case h.dropped > c.base && h.dropped >= c.p.xmin():
		return &minoots.Error{
			Code: minoots.CodeGone, Message: "the cursor is older than the events that are kept; some behind it are gone",
			Hint: "go on from oldestCursor, and read the timers that matter anew",
			Err:  &minoots.CursorExpiredError{Oldest: h.oldest().String()},
		}
	}
	return nil
}

func (h *eventHead) oldest() EventCursor {
	return EventCursor{log: h.log, base: h.dropped, p: nothing}
}

// finish finds out where the page ends.
func (h *eventHead) finish(page *EventPage, after EventCursor, limit int) {
	page.from = after
	page.s = h.s.upTo(max(h.highest, after.p.xmax-1))
	if len(page.Events) > limit {
		page.Events = page.Events[:limit]
		page.Next, page.More = after.within(page.s, page.Events[limit-1].Seq), true
		return
	}
	// All that was dropped by now p has seen, or the cursor had not been admitted.
	page.Next, page.More = EventCursor{log: h.log, base: h.dropped, p: page.s}, !h.now
}
