package minoots

import (
	"time"
)

// Recurrence says when a timer fires again and again: by Cron, at local times of
// a zone, or by Every, a fixed length of time. It is data: internal/cron reads
// the expression, knows the zones and computes the instants.
type Recurrence struct {
	Cron           string     `json:"cron,omitempty" maxLength:"256" doc:"Five fields (minute, hour, day of month, month, day of week), six with seconds first, or a macro such as @daily. When both days are restricted, either will do, as in Vixie cron." example:"0 9 * * MON-FRI"`
	Every          *Duration  `json:"every,omitempty" doc:"Instead of cron: this long, at least 1s, counted from startAt or else from the creation." example:"15m"`
	TimeZone       string     `json:"timeZone,omitempty" maxLength:"64" doc:"IANA name. Default UTC." example:"Europe/Paris"`
	DST            *DSTPolicy `json:"dst,omitempty" doc:"What becomes of local times when clocks change. Of no effect on every."`
	StartAt        *Instant   `json:"startAt,omitempty" doc:"Nothing before this instant; every counts from it, and fires at it."`
	EndAt          *Instant   `json:"endAt,omitempty" doc:"Nothing after this instant."`
	MaxOccurrences *int       `json:"maxOccurrences,omitempty" minimum:"1" maximum:"2147483647" doc:"Nothing after so many firings."`
}

// DSTPolicy says what becomes of a local time that does not exist or exists twice.
type DSTPolicy struct {
	Gap     string `json:"gap,omitempty" enum:"shift,skip" doc:"A local time that does not exist: shift moves it by the length of the gap, 02:30 to 03:30; skip leaves it out. Default shift."`
	Overlap string `json:"overlap,omitempty" enum:"first,last,both" doc:"A local time that exists twice. Default first; for a cron that names every hour, both, so that it does not pause for an hour."`
}

// The policies of a DSTPolicy.
const (
	GapShift     = "shift"
	GapSkip      = "skip"
	OverlapFirst = "first"
	OverlapLast  = "last"
	OverlapBoth  = "both"
)

const (
	// MinEvery is the shortest Recurrence.Every.
	MinEvery = time.Second
	// MaxCron is the length of the longest Recurrence.Cron, in bytes.
	MaxCron = 256
	// MaxOccurrence is the largest number of an occurrence.
	MaxOccurrence = 1<<31 - 1
)

// Validate tells the mistakes that can be seen without reading the expression
// and without the zones; cron.Compile tells the rest, and these too. Paths are
// below "recurrence". created is when the recurrence begins to count.
func (r *Recurrence) Validate(created time.Time) []FieldError {
	var bad problems
	switch {
	case r.Cron == "" && r.Every == nil:
		bad.add("", `must have exactly one of cron, such as "0 9 * * MON-FRI", and every, such as "15m", and has neither`)
	case r.Cron != "" && r.Every != nil:
		bad.add("", "must have exactly one of cron and every, and has both")
	}
	if len(r.Cron) > MaxCron {
		bad.add("cron", "must be at most %d characters", MaxCron)
	}
	if r.Every != nil && (*r.Every < Duration(MinEvery) || *r.Every > Duration(MaxHorizon)) {
		bad.add("every", "must be from 1s to %s (100 years)", Duration(MaxHorizon))
	}
	if d := r.DST; d != nil {
		if d.Gap != "" && d.Gap != GapShift && d.Gap != GapSkip {
			bad.add("dst.gap", "must be shift or skip")
		}
		if d.Overlap != "" && d.Overlap != OverlapFirst && d.Overlap != OverlapLast && d.Overlap != OverlapBoth {
			bad.add("dst.overlap", "must be first, last or both")
		}
	}
	if r.MaxOccurrences != nil && (*r.MaxOccurrences < 1 || *r.MaxOccurrences > MaxOccurrence) {
		bad.add("maxOccurrences", "must be from 1 to %d", MaxOccurrence)
	}
	r.validateBounds(&bad, created)
	return bad
}

func (r *Recurrence) validateBounds(bad *problems, created time.Time) {
	for _, bound := range []struct {
		path string
		at   *Instant
	}{{"startAt", r.StartAt}, {"endAt", r.EndAt}} {
		if bound.at != nil && (bound.at.After(created.Add(MaxHorizon)) || bound.at.Before(created.Add(-MaxHorizon))) {
			bad.add(bound.path, "must be within 100 years from now")
			return
		}
	}
	switch {
	case r.EndAt == nil:
	case r.StartAt != nil && r.EndAt.Before(r.StartAt.Time):
		bad.add("endAt", "is before startAt (%s); must be at or after it", *r.StartAt)
	case r.EndAt.Before(created):
		bad.add("endAt", "has passed; must be at or after %s", InstantOf(created))
	}
}

// RecurrencePreviewRequest asks for the next instants of a recurrence.
type RecurrencePreviewRequest struct {
	Recurrence Recurrence `json:"recurrence" doc:"As a timer would have it."`
	Count      *int       `json:"count,omitempty" minimum:"1" maximum:"100" doc:"How many. Default 10." example:"10"`
	After      *Instant   `json:"after,omitempty" doc:"As if the timer were created at this instant. Default now."`
}

// The limits of RecurrencePreviewRequest.Count.
const (
	DefaultPreview = 10
	MaxPreview     = 100
)

// RecurrencePreview is the answer: the instants, and by what they were computed.
type RecurrencePreview struct {
	Items      []RecurrencePreviewItem `json:"items"`
	Ends       bool                    `json:"ends" doc:"Nothing comes after the last item."`
	TimeZone   string                  `json:"timeZone"`
	TZData     string                  `json:"tzdata" doc:"Version of the time zone database that was used." example:"2025c"`
	Recurrence Recurrence              `json:"recurrence" doc:"As understood, with the defaults written out."`
}

// RecurrencePreviewItem is one instant of a recurrence.
type RecurrencePreviewItem struct {
	At           Instant `json:"at"`
	Local        string  `json:"local" doc:"The same instant on the zone's clocks." example:"2027-03-28T03:30:00+02:00"`
	Offset       string  `json:"offset" doc:"Of the zone at that instant, from UTC." example:"+02:00"`
	Abbreviation string  `json:"abbreviation" doc:"Of the zone at that instant." example:"CEST"`
	Note         string  `json:"note,omitempty" doc:"What a change of clocks did." example:"02:30 does not exist: shifted to 03:30"`
}
