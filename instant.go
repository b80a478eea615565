package minoots

import (
	"time"
)

// Instant is a point in time as Postgres keeps it, in microseconds, and as the
// API writes it: RFC 3339 in UTC with six digits, "2026-11-23T09:00:00.000000Z".
type Instant struct{ time.Time }

const instantLayout = "2006-01-02T15:04:05.000000Z"

// InstantOf rounds t up to the microsecond: up, because an instant that is cut
// short would let a timer fire early.
func InstantOf(t time.Time) Instant {
	cut := t.Truncate(time.Microsecond)
	if cut.Before(t) {
		cut = cut.Add(time.Microsecond)
	}
	return Instant{cut.UTC()}
}

// String gives the API's form.
func (i Instant) String() string { return i.UTC().Format(instantLayout) }

// MarshalText implements encoding.TextMarshaler.
func (i Instant) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// MarshalJSON implements json.Marshaler; it shadows the embedded time.Time's.
func (i Instant) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, len(instantLayout)+2)
	b = append(b, '"')
	b = i.UTC().AppendFormat(b, instantLayout)
	return append(b, '"'), nil
}

// UnmarshalText reads any RFC 3339 instant, whatever its zone and precision.
func (i *Instant) UnmarshalText(b []byte) error {
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return Errorf(CodeInvalid, `is not an instant: want RFC 3339 with a zone, such as "2026-11-23T17:03:20Z"`)
	}
	*i = InstantOf(t)
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (i *Instant) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' || b[len(b)-1] != '"' {
		return Errorf(CodeInvalid, `is not an instant: want a string such as "2026-11-23T17:03:20Z"`)
	}
	return i.UnmarshalText(b[1 : len(b)-1])
}
