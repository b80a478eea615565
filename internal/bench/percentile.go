package bench

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Lateness sums up how late webhooks came, in milliseconds: received minus due.
// The percentiles are those of all samples, not estimates from buckets.
type Lateness struct {
	Timers  int     `json:"timers"`
	P50     float64 `json:"p50"`
	P90     float64 `json:"p90"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
	Min     float64 `json:"min"`
	Repeats int     `json:"repeats"` // deliveries beyond the first of a timer
	// Unseen timers had not come when the wait was over. They count as late by
	// the wait, so that the percentiles are lower bounds.
	Unseen int `json:"unseen,omitempty"`
}

// latenessOf sums up samples, which it sorts.
func latenessOf(samples []time.Duration) Lateness {
	if len(samples) == 0 {
		return Lateness{}
	}
	slices.Sort(samples)
	return Lateness{
		Timers: len(samples),
		P50:    millis(percentile(samples, 50)), P90: millis(percentile(samples, 90)),
		P99: millis(percentile(samples, 99)),
		Max: millis(samples[len(samples)-1]), Min: millis(samples[0]),
	}
}

// percentile is the smallest of the sorted samples that is not below p percent
// of them (nearest rank).
func percentile(sorted []time.Duration, p float64) time.Duration {
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// String is the table's form; latenessUnit names its parts.
func (l Lateness) String() string {
	text := fmt.Sprintf("%s / %s / %s / %s / %s", number(l.P50), number(l.P90), number(l.P99), number(l.Max), number(l.Min))
	if l.Unseen > 0 {
		text = "at least " + text
	}
	return text
}

const latenessUnit = "ms p50/p90/p99/max/min"

// addLateness adds the line of a lateness; its value, for goals, is the p99.
func (r *Report) addLateness(key, what string, l Lateness) {
	if l.Repeats > 0 {
		what = fmt.Sprintf("%s, %d repeated", what, l.Repeats)
	}
	r.put(Figure{Key: key, What: what, Value: l.P99, Unit: latenessUnit, Lateness: &l})
}
