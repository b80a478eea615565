package db

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/cron"
)

// schedulesMost is how many compiled recurrences are remembered since the last
// time that they were twice as many: some 10 MB.
const schedulesMost = 10_000

// schedules remembers compiled recurrences by their text without the bounds:
// reading an expression takes several times as long as computing an instant, and
// many timers share few recurrences but begin when they please. What was not asked
// for while schedulesMost others were, goes.
type schedules struct {
	mu         sync.Mutex
	young, old map[string]*cron.Schedule
}

// of gives the schedule of a recurrence, as stored, that counts from an anchor.
func (c *schedules) of(text []byte, anchor time.Time) (*cron.Schedule, error) {
	kind, bounds, err := splitBounds(text)
	if err != nil {
		return nil, errors.New("it does not decode")
	}
	c.mu.Lock()
	s := c.young[string(kind)]
	if s == nil {
		if s = c.old[string(kind)]; s != nil {
			c.keep(string(kind), s)
		}
	}
	c.mu.Unlock()
	if s != nil {
		return s.Within(anchor, bounds), nil
	}
	var r minoots.Recurrence
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, errors.New("it does not decode")
	}
	s, bad := cron.Compile(r, anchor)
	if bad != nil {
		return nil, fmt.Errorf("%s %s", bad[0].Path, bad[0].Message)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(string(kind), s)
	return s, nil
}

// splitBounds takes the bounds out of a recurrence's text. What is left is the same
// for all of one kind, and only good to compare. To decode the whole would take as
// long as to read an expression.
func splitBounds(text []byte) (kind []byte, b cron.Bounds, err error) {
	kind, start := cutMember(text, `"startAt"`)
	kind, end := cutMember(kind, `"endAt"`)
	kind, most := cutMember(kind, `"maxOccurrences"`)
	if len(start) > 0 {
		b.StartAt = new(minoots.Instant)
		err = b.StartAt.UnmarshalJSON(start)
	}
	if len(end) > 0 {
		b.EndAt = new(minoots.Instant)
		err = errors.Join(err, b.EndAt.UnmarshalJSON(end))
	}
	if len(most) > 0 {
		n, bad := strconv.Atoi(string(most))
		b.MaxOccurrences, err = &n, errors.Join(err, bad)
	}
	return kind, b, err
}

// cutMember takes a member out of an object whose value is an instant or a number,
// or null, which is none. Its name, in quotes and before a colon, is nowhere else in
// valid JSON: within a text the quotes would be escaped.
func cutMember(text []byte, name string) (rest, value []byte) {
	at := bytes.Index(text, []byte(name))
	if at < 0 {
		return text, nil
	}
	after, is := bytes.CutPrefix(bytes.TrimSpace(text[at+len(name):]), []byte(":"))
	end := bytes.IndexAny(after, ",}") // which neither an instant nor a number has
	if !is || end < 0 {
		return text, nil // the name is a text, such as a zone's
	}
	if value = bytes.TrimSpace(after[:end]); string(value) == "null" {
		value = nil
	}
	before, behind := bytes.TrimSpace(text[:at]), after[end:]
	if behind[0] == ',' {
		behind = bytes.TrimSpace(behind[1:])
	} else {
		before = bytes.TrimSuffix(before, []byte(","))
	}
	return slices.Concat(before, behind), value
}

func (c *schedules) keep(text string, s *cron.Schedule) {
	if len(c.young) >= schedulesMost {
		c.old, c.young = c.young, nil
	}
	if c.young == nil {
		c.young = map[string]*cron.Schedule{}
	}
	c.young[text] = s
}

// arm computes when a timer with a recurrence is due first, or next after so many
// occurrences, and writes the recurrence's defaults out. The anchor, from which
// the recurrence counts, is this replica's estimate of the database's time: it is
// stored, so that everybody goes on with the same series.
func arm(s *minoots.TimerSpec, anchor time.Time, fired int) (minoots.Instant, error) {
	schedule, bad := cron.Compile(*s.Recurrence, anchor)
	if bad != nil {
		return minoots.Instant{}, refusedRecurrence(bad...)
	}
	full := schedule.Recurrence()
	s.Recurrence = &full
	first, ok := schedule.Next(anchor, fired)
	switch {
	case ok:
		return minoots.InstantOf(first), nil
	case full.MaxOccurrences != nil && fired >= *full.MaxOccurrences:
		return minoots.Instant{}, refusedRecurrence(minoots.FieldError{Path: "maxOccurrences", Message: fmt.Sprintf(
			"must be more than %d, for that many there have been", fired)})
	default:
		return minoots.Instant{}, refusedRecurrence(minoots.FieldError{Path: "endAt", Message: "is before the first occurrence"})
	}
}

func refusedRecurrence(bad ...minoots.FieldError) error {
	e := &minoots.Error{Code: minoots.CodeInvalid, Message: "timer does not validate"}
	for _, f := range bad {
		if f.Path != "" {
			f.Path = "." + f.Path
		}
		e.Fields = append(e.Fields, minoots.FieldError{Path: "recurrence" + f.Path, Message: f.Message})
	}
	return e
}
