package action

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/minoots/minoots"
	"github.com/stretchr/testify/assert"
)

func TestRetriedStatus(t *testing.T) {
	t.Parallel()
	for status := 100; status <= 999; status++ {
		want := status == 408 || status == 425 || status == 429 || status >= 500 && status <= 599
		assert.Equal(t, want, retryable(ClassHTTPStatus, status), status)
	}
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                                0,
		"0":                               0,
		" 17 ":                            17 * time.Second,
		"99999999999999999999999999":      MaxRetryAfter,
		"9223372036854775807":             MaxRetryAfter,
		"-5":                              0,
		"1.5":                             0,
		"soon":                            0,
		"Mon, 23 Nov 2026 09:01:00 GMT":   time.Minute,
		"Monday, 23-Nov-26 09:01:00 GMT":  time.Minute,
		"Mon Nov 23 09:01:00 2026":        time.Minute,
		"Mon, 23 Nov 2026 08:59:59 GMT":   0,
		"Fri, 31 Dec 9999 23:59:59 GMT":   MaxRetryAfter,
		"Mon, 23 Nov 2026 09:01:00 +0100": 0,
	} {
		assert.Equal(t, want, ParseRetryAfter(value, now), "%q", value)
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for _, seed := range []string{"", "17", "-1", "99999999999999999999", now.Format(http.TimeFormat), "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := ParseRetryAfter(value, now); d < 0 || d > MaxRetryAfter {
			t.Errorf("%q: %s", value, d)
		}
	})
}

func TestNextDelaySpreadsOverAllOfIt(t *testing.T) {
	t.Parallel()
	policy := minoots.DefaultRetryPolicy
	for attempt := 1; attempt <= 15; attempt++ {
		delay := policy.Delay(attempt)
		lowest, highest := time.Duration(math.MaxInt64), time.Duration(0)
		for n := range 1000 {
			got := NextDelay(policy, fmt.Sprintf("timer_%d_wake", n), attempt, 0)
			lowest, highest = min(lowest, got), max(highest, got)
		}
		assert.GreaterOrEqual(t, lowest, delayLeast)
		assert.LessOrEqual(t, highest, delay)
		assert.Greater(t, highest-lowest, delay*95/100, "a thousand deliveries use the whole width")
	}
	short := minoots.RetryPolicy{BackoffInitialMs: 2, BackoffMaxMs: 2}
	assert.Equal(t, 2*time.Millisecond, NextDelay(short, "timer_1_wake", 1, 0), "the floor is not above the policy's own")
}

func TestNextDelayIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	policy := minoots.DefaultRetryPolicy
	got := NextDelay(policy, "timer_1_wake", 3, 0)
	assert.Equal(t, got, NextDelay(policy, "timer_1_wake", 3, 0))
	assert.NotEqual(t, got, NextDelay(policy, "timer_2_wake", 3, 0))
	assert.NotEqual(t, got, NextDelay(policy, "timer_1_wake", 4, 0))
}

func TestNextDelayHonoursRetryAfter(t *testing.T) {
	t.Parallel()
	policy := minoots.RetryPolicy{BackoffInitialMs: 1000, BackoffMaxMs: 60_000}
	got := NextDelay(policy, "timer_1_wake", 1, 30*time.Second)
	assert.GreaterOrEqual(t, got, 30*time.Second)
	assert.LessOrEqual(t, got, 31*time.Second)
	assert.Equal(t, time.Minute, NextDelay(policy, "timer_1_wake", 1, 24*time.Hour))
	assert.LessOrEqual(t, NextDelay(policy, "timer_1_wake", 1, time.Millisecond), time.Second+time.Millisecond)
}

// Whatever stands in a row, the next attempt is neither at once nor never.
func TestNextDelayIsAlwaysPositive(t *testing.T) {
	t.Parallel()
	for _, policy := range []minoots.RetryPolicy{
		{}, {BackoffInitialMs: 1, BackoffMultiplier: 0.0001}, {BackoffMaxMs: 1}, {BackoffInitialMs: -5, BackoffMaxMs: -5},
		{BackoffInitialMs: math.MaxInt64, BackoffMaxMs: math.MaxInt64}, {BackoffMultiplier: math.MaxFloat64},
	} {
		for _, attempt := range []int{-1, 0, 1, 100, 10_000} {
			for _, after := range []time.Duration{math.MinInt64, 0, math.MaxInt64} {
				got := NextDelay(policy, "timer_1_wake", attempt, after)
				assert.Positive(t, got, "%+v %d %d", policy, attempt, after)
				assert.LessOrEqual(t, got, MaxRetryAfter)
			}
		}
	}
}

// The policy widens the table, and never beyond what a receiver or the guard has
// said for good.
func TestRetries(t *testing.T) {
	t.Parallel()
	out := func(class string, status int) *minoots.Outcome {
		o := &minoots.Outcome{HTTPStatus: status}
		failure{class, ""}.report(o)
		return o
	}
	for _, c := range []struct {
		on   []string
		out  *minoots.Outcome
		want bool
	}{
		{nil, out(ClassHTTPStatus, 503), true},
		{nil, out(ClassHTTPStatus, 404), false},
		{[]string{"404"}, out(ClassHTTPStatus, 404), true},
		{[]string{"404"}, out(ClassHTTPStatus, 403), false},
		{[]string{"404"}, out(ClassHTTPStatus, 503), true},
		{[]string{"http_status"}, out(ClassHTTPStatus, 403), true},
		{[]string{"http_status"}, out(ClassHTTPStatus, 410), false},
		{[]string{"410"}, out(ClassHTTPStatus, 410), true},
		{[]string{"redirect"}, out(ClassRedirect, 302), true},
		{[]string{"302"}, out(ClassRedirect, 302), true},
		{[]string{"301"}, out(ClassRedirect, 302), false},
		{[]string{"404", "http_status", "aborted"}, out(ClassAborted, 404), false},
		{[]string{"address_denied", "parameters"}, out(ClassAddressDenied, 0), false},
		{[]string{"address_denied", "parameters"}, out(ClassParameters, 0), false},
	} {
		assert.Equal(t, c.want, Retries(minoots.RetryPolicy{RetryOn: c.on}, c.out), "%v: %s %d", c.on, c.out.ErrorClass, c.out.HTTPStatus)
	}
}

// Every class that a policy may name is one of ours, and those that it may not are final.
func TestRetryOnClasses(t *testing.T) {
	t.Parallel()
	for _, class := range minoots.RetryOnClasses {
		_, ours := retriedClass[class]
		assert.True(t, ours || class == ClassHTTPStatus, class)
	}
	for _, class := range []string{ClassAddressDenied, ClassParameters, ClassAborted, ClassCancelled} {
		assert.NotContains(t, minoots.RetryOnClasses, class)
	}
}

func TestAborted(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"": ClassHTTPStatus, "abort-message": ClassAborted, " Abort-Message ": ClassAborted, "disable": ClassAborted, "no": ClassHTTPStatus,
	} {
		got := aborted(judge(503), http.Header{"Webhook-Delivery": {value}})
		assert.Equal(t, want, got.class, "%q", value)
	}
	assert.Equal(t, failure{}, aborted(judge(200), http.Header{"Webhook-Delivery": {"abort-message"}}), "a success is one")
}
