package db

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/cron"
)

// schedulesMost is how many compiled recurrences are remembered since the last
// time that they were twice as many: some 10 MB.
const schedulesMost = 10_000

// schedules remembers compiled recurrences by their text: reading an expression
// takes ten times as long as computing an instant, and many timers share few
// recurrences. What was not asked for while schedulesMost others were, goes.
type schedules struct {
	mu         sync.Mutex
	young, old map[string]*cron.Schedule
}

// of gives the schedule of a recurrence, as stored, that counts from an anchor.
func (c *schedules) of(text []byte, anchor time.Time) (*cron.Schedule, error) {
	c.mu.Lock()
	s := c.young[string(text)]
	if s == nil {
		if s = c.old[string(text)]; s != nil {
			c.keep(string(text), s)
		}
	}
	c.mu.Unlock()
	if s != nil {
		return s.Since(anchor), nil
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
	c.keep(string(text), s)
	return s, nil
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
