package minoots

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// BreakerState says how a destination is treated.
type BreakerState string

// An ordinary destination is closed: the current flows.
const (
	BreakerClosed     BreakerState = "closed"
	BreakerOpen       BreakerState = "open"       // deliveries wait
	BreakerHalfOpen   BreakerState = "half_open"  // one delivery tries it
	BreakerRecovering BreakerState = "recovering" // it answered: deliveries go on, few at first
)

// Destination is what deliveries of a tenant go to, if there is anything to say of
// it: its breaker is not closed, or it has limits.
type Destination struct {
	Destination  string       `json:"destination" doc:"Scheme, host and port of a webhook's URL." example:"https://example.com"`
	State        BreakerState `json:"state" enum:"closed,open,half_open,recovering" doc:"Of its breaker: while it is open, deliveries wait and spend no attempts."`
	Since        Instant      `json:"since" doc:"Since when it is not closed; of a closed one, since when it is."`
	NextProbeAt  *Instant     `json:"nextProbeAt" doc:"When it is tried again with one delivery."`
	Failures     int          `json:"failures" doc:"Failed attempts that opened it, and that left it open."`
	Reason       *string      `json:"reason" doc:"The error of the last of them."`
	Waiting      int64        `json:"waiting" doc:"Deliveries that wait for it."`
	WaitingSince *Instant     `json:"waitingSince" doc:"Since when the first of them could have begun."`
	Running      int64        `json:"running" doc:"Attempts under way that were let through."`
	DestinationLimits
}

// DestinationLimits bound what all replicas together send to a destination.
type DestinationLimits struct {
	RatePerSecond *float64 `json:"ratePerSecond" minimum:"0.001" maximum:"100000" doc:"Attempts that may begin in a second; null for no limit."`
	MaxConcurrent *int     `json:"maxConcurrent" minimum:"1" maximum:"10000" doc:"Attempts that may be under way at once; null for no limit."`
}

// The bounds of DestinationLimits.
const (
	MinRatePerSecond = 0.001
	MaxRatePerSecond = 100_000
	MaxMaxConcurrent = 10_000
)

// Validate says what is wrong with the limits.
func (l DestinationLimits) Validate() error {
	var fields []FieldError
	if r := l.RatePerSecond; r != nil && !(*r >= MinRatePerSecond && *r <= MaxRatePerSecond) {
		fields = append(fields, FieldError{"ratePerSecond", fmt.Sprintf("must be from %g to %d, or null for no limit", MinRatePerSecond, MaxRatePerSecond)})
	}
	if n := l.MaxConcurrent; n != nil && (*n < 1 || *n > MaxMaxConcurrent) {
		fields = append(fields, FieldError{"maxConcurrent", fmt.Sprintf("must be from 1 to %d, or null for no limit", MaxMaxConcurrent)})
	}
	if fields == nil {
		return nil
	}
	return &Error{Code: CodeInvalid, Message: "limits do not validate", Fields: fields}
}

// maxDestination bounds a destination's name, in bytes: the longest host name is
// 253.
const maxDestination = 300

// ParseDestination reads a destination as people write it, and gives it as
// deliveries have it: https://example.com.
func ParseDestination(text string) (string, error) {
	u, err := url.Parse(text)
	bad := ""
	switch {
	case len(text) > maxDestination || !utf8.ValidString(text):
		bad = fmt.Sprintf("must be at most %d characters", maxDestination)
	case err != nil || u.Scheme == "" || u.Host == "":
		bad = "must have a scheme and a host, as in https://example.com"
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		bad = "must be scheme, host and port alone, as in https://example.com:8443: it holds for all paths"
	}
	if bad != "" {
		return "", &Error{Code: CodeInvalid, Message: "destination does not validate", Fields: []FieldError{{"destination", bad}}}
	}
	return CanonicalDestination(u.Scheme + "://" + u.Host), nil
}

// CanonicalDestination gives one name to what is one destination however it is
// written: in small letters, and without the port that goes without saying.
func CanonicalDestination(text string) string {
	text = strings.ToLower(text)
	if rest, ok := strings.CutSuffix(text, ":443"); ok && strings.HasPrefix(text, "https://") {
		return rest
	}
	if rest, ok := strings.CutSuffix(text, ":80"); ok && strings.HasPrefix(text, "http://") {
		return rest
	}
	return text
}
