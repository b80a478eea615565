package action

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

// retriedClass is the table of what is retried. The question is always the same:
// may the same request, sent later, fare better? HTTP statuses have their own
// table below.
var retriedClass = map[string]bool{
	ClassTimeout:     true,
	ClassRefused:     true, // being deployed
	ClassReset:       true,
	ClassUnreachable: true,
	ClassDNS:         true, // "no such host" too: records come late, resolvers lie under load
	ClassTLS:         true, // certificates expire and are renewed, often within the hour that backoff covers
	ClassProtocol:    true, // a proxy's half-written answer
	ClassSigning:     true, // the store of secrets is away, or the secret is about to be made
	ClassUnavailable: true, // a replica of a newer version may take the next attempt
	ClassCancelled:   true,

	ClassAddressDenied: false, // a wrong URL or an attack; asking again is a port scan by another name
	ClassRedirect:      false, // the receiver has moved; the URL must be changed
	ClassParameters:    false,

	ClassAgent:    true, // a model is overloaded, a run was cancelled
	ClassTool:     true, // tools report what they depend on as errors of theirs
	ClassRPC:      true,
	ClassNoStream: true, // the stream is made a moment later
	ClassBroker:   true, // the stream is full, or its leader is being elected
	ClassExec:     true, // being deployed, or out of processes
	ClassExitCode: true, // programs have one code for everything

	ClassTemplate:      false, // the same firing gives the same result
	ClassRPCRefused:    false, // the tool's name or arguments must be changed
	ClassCommandDenied: false, // an operator's decision
}

// retriedStatus says which HTTP answers are retried: all of 5xx, and the three
// of 4xx that speak of the moment and not of the request. 410 Gone is as final
// as it says.
func retriedStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	default:
		return status >= 500 && status <= 599
	}
}

func retryable(class string, status int) bool {
	if class == ClassHTTPStatus {
		return retriedStatus(status)
	}
	return retriedClass[class]
}

// MaxRetryAfter is the longest Retry-After that is believed: a week, the longest
// backoff that a policy may ask for.
const MaxRetryAfter = 7 * 24 * time.Hour

// ParseRetryAfter reads the value of a Retry-After header, in seconds or as an
// HTTP date. It gives 0 for nothing, nonsense and the past, and MaxRetryAfter
// for anything longer.
func ParseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter // all digits, so the only error is a number too large
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	// Sub saturates, so a date in the year 9999 is merely long.
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

// NextDelay is the wait after the given failed attempt (1 is the first): the
// policy's delay with equal jitter, or what the receiver asked for if that is
// longer, and never longer than the policy's BackoffMaxMs. Always above 0.
//
// Equal jitter spreads over [delay/2, delay]. When a receiver fails under a
// storm, its 20,000 retries must not come back as one wave. Full jitter,
// [0, delay], spreads better, but lets some retries follow at once, and the
// policy's owner asked for a wait. After a Retry-After the same spread is added
// on top, since everybody was told the same second.
//
// The jitter is a hash of the delivery and the attempt, not a random number: a
// replica that computes the delay again, after a crash, comes to the same one.
func NextDelay(policy minoots.RetryPolicy, webhookID string, attempt int, retryAfter time.Duration) time.Duration {
	policy = policy.Or(minoots.DefaultRetryPolicy)
	longest := time.Duration(min(policy.BackoffMaxMs, MaxRetryAfter.Milliseconds())) * time.Millisecond
	delay := max(policy.Delay(attempt), 0)

	half := delay / 2
	spread := time.Duration(jitter(webhookID, attempt) % uint64(delay-half+1))
	wait := max(half, retryAfter) + spread
	return max(min(wait, longest), time.Millisecond)
}

// jitter is a number that is evenly spread and always the same for an attempt.
func jitter(webhookID string, attempt int) uint64 {
	sum := sha256.Sum256(strconv.AppendInt([]byte(webhookID+"#"), int64(attempt), 10))
	return binary.BigEndian.Uint64(sum[:8])
}
