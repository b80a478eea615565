package minoots

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// MaxHorizon is how far ahead a timer may be: one hundred years of 365.25 days.
const MaxHorizon = 36525 * 24 * time.Hour

// Duration is a length of time as callers write it: "90s", "1h30m", "2d",
// ISO 8601 ("PT1H", "P1DT12H", "P2W") or a JSON number of milliseconds.
// Months and years are refused: they have no fixed length.
type Duration time.Duration

const durationHelp = `want "90s", "1h30m", "2d", ISO 8601 such as "PT1H", or a number of milliseconds`

var durationUnits = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "ms": time.Millisecond, "s": time.Second,
	"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// ParseDuration reads the text forms. The result may be zero or negative only
// if the text says so; what range is allowed is the field's business.
func ParseDuration(s string) (Duration, error) {
	if len(s) > 64 {
		return 0, badDuration("too long")
	}
	if strings.HasPrefix(s, "P") || strings.HasPrefix(s, "-P") || strings.HasPrefix(s, "+P") {
		return parseISODuration(s)
	}
	return parseUnits(s)
}

func badDuration(why string) error {
	return Errorf(CodeInvalid, "is not a duration (%s): %s", why, durationHelp)
}

// parseUnits reads a sign and then numbers each with its unit.
func parseUnits(s string) (Duration, error) {
	rest, negative := strings.CutPrefix(s, "-")
	if rest == "" {
		return 0, badDuration("empty")
	}
	sum := new(big.Rat)
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 {
			return 0, badDuration("a number and a unit are needed")
		}
		number := rest[:n]
		rest = rest[n:]
		n = strings.IndexAny(rest, "0123456789.")
		if n < 0 {
			n = len(rest)
		}
		unit, ok := durationUnits[rest[:n]]
		if !ok {
			return 0, badDuration("unknown unit " + strconv.Quote(rest[:n]))
		}
		rest = rest[n:]
		if err := addTo(sum, number, unit); err != nil {
			return 0, err
		}
	}
	return fromRat(sum, negative)
}

// parseISODuration reads P[nW] or P[nD][T[nH][nM][nS]], with a decimal point
// or comma in any number (ISO 8601-1:2019, 5.5.2).
func parseISODuration(s string) (Duration, error) {
	rest, negative := strings.CutPrefix(s, "-")
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, "+"), "P")
	date, clock, hasT := strings.Cut(rest, "T")
	if rest == "" || hasT && clock == "" {
		return 0, badDuration("nothing after P or T")
	}
	sum := new(big.Rat)
	for _, side := range [2][2]string{{date, "WD"}, {clock, "HMS"}} {
		part, units := side[0], side[1]
		for part != "" {
			n := strings.IndexFunc(part, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != ',' })
			if n <= 0 {
				return 0, badDuration("a number and a designator are needed")
			}
			at := strings.IndexByte(units, part[n])
			if at < 0 {
				if part[n] == 'Y' || part[n] == 'M' && side[1] == "WD" {
					return 0, badDuration("months and years have no fixed length; use fireAt or a recurrence")
				}
				return 0, badDuration("unknown or misplaced designator")
			}
			if err := addTo(sum, strings.Replace(part[:n], ",", ".", 1), isoUnits[units[at]]); err != nil {
				return 0, err
			}
			units = units[at+1:]
			part = part[n+1:]
		}
	}
	return fromRat(sum, negative)
}

var isoUnits = map[byte]time.Duration{
	'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour, 'H': time.Hour, 'M': time.Minute, 'S': time.Second,
}

func addTo(sum *big.Rat, number string, unit time.Duration) error {
	if len(number) > 30 || strings.Count(number, ".") > 1 || number == "." {
		return badDuration("bad number")
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return badDuration("bad number")
	}
	sum.Add(sum, r.Mul(r, new(big.Rat).SetInt64(int64(unit))))
	return nil
}

func fromRat(sum *big.Rat, negative bool) (Duration, error) {
	if negative {
		sum.Neg(sum)
	}
	whole := new(big.Int).Quo(sum.Num(), sum.Denom())
	if !whole.IsInt64() {
		return 0, badDuration("out of range")
	}
	return Duration(whole.Int64()), nil
}

// Milliseconds gives the whole milliseconds in d.
func (d Duration) Milliseconds() int64 { return time.Duration(d).Milliseconds() }

// String gives days, hours, minutes, seconds: "2d3h", "1m30s", "250ms".
func (d Duration) String() string {
	days := d / Duration(24*time.Hour)
	rest := time.Duration(d % Duration(24*time.Hour))
	if days == 0 {
		return trimZeroUnits(rest.String())
	}
	text := strconv.FormatInt(int64(days), 10) + "d"
	if rest != 0 {
		text += trimZeroUnits(strings.TrimPrefix(rest.String(), "-"))
	}
	return text
}

// trimZeroUnits turns Go's "1h0m0s" into "1h" and "1m0s" into "1m".
func trimZeroUnits(s string) string {
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalJSON writes the text form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads the text forms and a number of milliseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return badDuration("bad string")
		}
		parsed, err := ParseDuration(s)
		*d = parsed
		return err
	}
	ms, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || ms > int64(MaxHorizon/time.Millisecond)*2 || ms < -int64(MaxHorizon/time.Millisecond)*2 {
		return badDuration("a number must be whole milliseconds in range")
	}
	*d = Duration(time.Duration(ms) * time.Millisecond)
	return nil
}
