package workers_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/workers"
)

// receiver is a destination that can be dead, and counts.
type receiver struct {
	actor
	mu    sync.Mutex
	dead  bool
	times []time.Time // of the attempts
	ids   map[string]int
}

func newReceiver(dead bool) *receiver {
	r := &receiver{dead: dead, ids: map[string]int{}}
	r.do = func(_ context.Context, d minoots.Delivery, _ int) minoots.Outcome {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.times = append(r.times, time.Now())
		if r.dead {
			return failed("refused", true)
		}
		r.ids[d.WebhookID()]++
		return succeeded()
	}
	return r
}

func (r *receiver) set(dead bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = dead
}

func (r *receiver) received() (deliveries, ids int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.ids {
		deliveries += n
	}
	return deliveries, len(r.ids)
}

// quickly is a breaker for tests: it tries often.
var quickly = workers.Breaker{WaitLeast: 200 * time.Millisecond, WaitMost: 400 * time.Millisecond}

// untiring is a bundle whose deliveries are tried for long enough.
func untiring() *minoots.Bundle {
	b := bundle(1, "a")
	b.RetryPolicy.MaxAttempts = 50
	return b
}

// placed counts the deliveries that this replica has planned for a place.
func (r *running) placed(t testing.TB, place string) float64 {
	return r.labelled(t, "minoots_deliveries_placed_total", place)
}

// transitions counts the changes of breakers that this replica has made.
func (r *running) transitions(t testing.TB, to string) float64 {
	return r.labelled(t, "minoots_breaker_transitions_total", to)
}

func (r *running) labelled(t testing.TB, name, label string) float64 {
	t.Helper()
	for _, m := range r.family(t, name) {
		if m.GetLabel()[0].GetValue() == label {
			return m.GetCounter().GetValue()
		}
	}
	t.Errorf("no %s of %s", label, name)
	return 0
}
