package cron

import (
	"fmt"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/tzdb"
)

// Preview computes the next instants of a recurrence, as if a timer with it were
// created now, or at the instant that the request names.
func Preview(ask minoots.RecurrencePreviewRequest, now time.Time) (minoots.RecurrencePreview, error) {
	count, created := minoots.DefaultPreview, now
	var bad []minoots.FieldError
	if ask.Count != nil {
		count = *ask.Count
	}
	if count < 1 || count > minoots.MaxPreview {
		bad = append(bad, minoots.FieldError{Path: "count", Message: fmt.Sprintf("must be from 1 to %d", minoots.MaxPreview)})
	}
	if ask.After != nil {
		created = ask.After.Time
	}
	if created.Before(now.Add(-minoots.MaxHorizon)) || created.After(now.Add(minoots.MaxHorizon)) {
		bad = append(bad, minoots.FieldError{Path: "after", Message: "must be within 100 years from now"})
		created = now
	}
	s, mistakes := Check(ask.Recurrence, created)
	bad = append(bad, below("recurrence", mistakes)...)
	if bad != nil {
		return minoots.RecurrencePreview{}, &minoots.Error{
			Code: minoots.CodeInvalid, Message: "recurrence does not validate", Fields: bad,
		}
	}
	return s.preview(created, count), nil
}

// below puts paths under the field that they are about.
func below(path string, fields []minoots.FieldError) []minoots.FieldError {
	for i := range fields {
		if fields[i].Path == "" {
			fields[i].Path = path
		} else {
			fields[i].Path = path + "." + fields[i].Path
		}
	}
	return fields
}

func (s *Schedule) preview(created time.Time, count int) minoots.RecurrencePreview {
	p := minoots.RecurrencePreview{
		Items:    make([]minoots.RecurrencePreviewItem, 0, count),
		TimeZone: s.recurrence.TimeZone, TZData: tzdb.Version(), Recurrence: s.recurrence,
	}
	if most := s.recurrence.MaxOccurrences; most != nil {
		count = min(count, *most)
	}
	previous := created
	for len(p.Items) < count {
		at, how, ok := s.after(previous, s.clock)
		if !ok {
			break
		}
		item := s.item(at)
		item.Note = s.note(how)
		if skipped := s.skipped(previous, at); skipped != "" {
			item.Note = join(skipped, item.Note)
		}
		p.Items = append(p.Items, item)
		previous = at
	}
	_, more := s.Next(previous, len(p.Items))
	p.Ends = !more
	return p
}

func (s *Schedule) item(at time.Time) minoots.RecurrencePreviewItem {
	local := at.In(s.clock.zone)
	return minoots.RecurrencePreviewItem{
		At: minoots.InstantOf(at), Local: local.Format("2006-01-02T15:04:05.999999-07:00"),
		Offset: local.Format("-07:00"), Abbreviation: local.Format("MST"),
	}
}

// note says what a change of clocks did to an instant.
func (s *Schedule) note(how hit) string {
	switch {
	case s.clock.Expression == nil || how.times == 1:
		return ""
	case how.times == 0:
		local := wallOf(time.Unix(how.at, 0).In(s.clock.zone))
		if local/secondsPerDay != how.wall/secondsPerDay {
			return fmt.Sprintf("%s does not exist: shifted to %s", dateAndClock(how.wall), dateAndClock(local))
		}
		return fmt.Sprintf("%s does not exist: shifted to %s", clockText(how.wall), clockText(local))
	default:
		return fmt.Sprintf("%s happens twice: %s", clockText(how.wall), [...]string{"first", "last"}[min(how.which, 1)])
	}
}

// skipped says what the policy left out between two instants.
func (s *Schedule) skipped(previous, at time.Time) string {
	if !s.clock.skip {
		return ""
	}
	shifting := s.clock
	shifting.skip = false
	text, more := "", 0
	for {
		next, how, ok := s.after(previous, shifting)
		if !ok || !next.Before(at) {
			break
		}
		if text == "" {
			text = dateAndClock(how.wall) + " does not exist: skipped"
		} else if more++; more > minoots.MaxPreview {
			break
		}
		previous = next
	}
	switch {
	case more > minoots.MaxPreview:
		text += ", and many more"
	case more > 0:
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + "; " + b
}

// wallOf is what the clocks show at t.
func wallOf(t time.Time) wall {
	_, offset := t.Zone()
	return t.Unix() + int64(offset)
}

func clockText(w wall) string {
	t := time.Unix(w, 0).UTC()
	if t.Second() != 0 {
		return t.Format(time.TimeOnly)
	}
	return t.Format("15:04")
}

func dateAndClock(w wall) string {
	return time.Unix(w, 0).UTC().Format(time.DateOnly) + " " + clockText(w)
}
