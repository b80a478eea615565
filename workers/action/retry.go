package action

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
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
	ClassAborted:       false, // as the receiver asked

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

// Retries tells whether a failed attempt is to be tried again: by the table, or by
// what the policy adds to it. An abort ends it whatever the policy says, and 410
// Gone, the Standard Webhooks' word for it, unless the policy names that status.
func Retries(policy minoots.RetryPolicy, out *minoots.Outcome) bool {
	switch {
	case out.Retryable || len(policy.RetryOn) == 0:
		return out.Retryable
	case out.HTTPStatus != 0 && out.ErrorClass != ClassAborted && slices.Contains(policy.RetryOn, strconv.Itoa(out.HTTPStatus)):
		return true
	case out.HTTPStatus == http.StatusGone:
		return false
	default:
		return slices.Contains(minoots.RetryOnClasses, out.ErrorClass) && slices.Contains(policy.RetryOn, out.ErrorClass)
	}
}

// deliveryControl is the header by which a receiver says that it wants no more of
// a delivery. Standard Webhooks 1.0 have 410 for that and nothing for a single
// message; this is how Svix, whose people write them, do it. disable is about all
// deliveries to a receiver, of which this one is the only that we know.
const deliveryControl = "Webhook-Delivery"

// aborted makes a failure final if the receiver asked for that.
func aborted(f failure, answer http.Header) failure {
	asked := strings.ToLower(strings.TrimSpace(answer.Get(deliveryControl)))
	if f.class == "" || asked != "abort-message" && asked != "disable" {
		return f
	}
	return failure{ClassAborted, f.text + ", and asked for no more attempts (webhook-delivery: " + asked + ")"}
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

// delayLeast is the least wait before another attempt, unless the policy's own
// delay is shorter.
const delayLeast = 10 * time.Millisecond

// NextDelay is the wait after the given failed attempt (1 is the first): the
// policy's delay with full jitter, or what the receiver asked for and that on top,
// and never longer than the policy's BackoffMaxMs. Always above 0.
//
// Full jitter spreads over all of the delay: when a receiver fails under a storm,
// its 20,000 retries must not come back as one wave, and everything that is not
// spread is a wave. The floor keeps a retry from following at once. After a
// Retry-After the spread is added, since everybody was told the same second.
//
// The jitter is a hash of the delivery and the attempt, not a random number: a
// replica that computes the delay again, after a crash, comes to the same one.
func NextDelay(policy minoots.RetryPolicy, webhookID string, attempt int, retryAfter time.Duration) time.Duration {
	policy = policy.Or(minoots.DefaultRetryPolicy)
	longest := time.Duration(min(policy.BackoffMaxMs, MaxRetryAfter.Milliseconds())) * time.Millisecond
	delay := max(policy.Delay(attempt), 0)

	least := min(delayLeast, delay)
	spread := least + time.Duration(jitter(webhookID, attempt)%uint64(delay-least+1))
	wait := min(max(retryAfter, 0), MaxRetryAfter) + min(spread, MaxRetryAfter)
	return max(min(wait, longest), time.Millisecond)
}

// jitter is a number that is evenly spread and always the same for an attempt.
func jitter(webhookID string, attempt int) uint64 {
	sum := sha256.Sum256(strconv.AppendInt([]byte(webhookID+"#"), int64(attempt), 10))
	return binary.BigEndian.Uint64(sum[:8])
}
