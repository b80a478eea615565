package workers

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// releaseMost is how many deliveries one statement lets go of a destination that
// is ordinary again.
const releaseMost = 1000

// forgetAfter is after how long without deliveries a destination that is open is
// forgotten; destination_close.sql has it too.
const forgetAfter = 10 * time.Minute

// learned takes in what the workers' regular look has found.
func (b *breaker) learned(ctx context.Context, turn int, found []db.Lane) {
	now := time.Now()
	for _, queue := range b.gates.learn(turn, found) {
		b.pump.at(queue, now)
	}
	b.health.sweep(now)
	open, held := 0, 0
	waiting := map[string]bool{}
	for i := range found {
		l := &found[i]
		held += l.Held
		key := flowKey{l.Tenant, l.Destination}
		switch {
		case l.Destination == "":
			if db.IsHeld(l.Queue) {
				b.release(l.Queue)
			}
			continue
		case l.Filled:
			waiting[l.Queue] = true
		case l.State == minoots.BreakerRecovering || b.gates.idleFor(key, now) > forgetAfter:
			b.close(ctx, key)
		}
		if l.State != minoots.BreakerClosed {
			open++
		}
	}
	b.pump.wake(waiting)
	b.metrics.open.Set(float64(open))
	b.metrics.waiting.Set(float64(held))
}

// release lets go what waits for a destination that is ordinary again.
func (b *breaker) release(queue string) {
	b.errands.run(func(ctx context.Context) {
		for n := releaseMost; n == releaseMost; {
			var err error
			step, cancel := context.WithTimeout(ctx, recordTimeout)
			n, err = b.db.DestinationRelease(step, queue, releaseMost)
			cancel()
			if err != nil {
				b.log.Warn("deliveries not let go; trying again", "error", err)
				return // the next look finds them
			}
		}
		b.soon()
	})
}

// breakerMetrics are the breakers'. docs/metrics.md says what each is for.
type breakerMetrics struct {
	open        prometheus.Gauge
	waiting     prometheus.Gauge
	held        prometheus.Counter
	transitions *prometheus.CounterVec
}

func newBreakerMetrics(reg prometheus.Registerer) (*breakerMetrics, error) {
	m := &breakerMetrics{
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_breakers_open", Help: "Destinations of tenants whose deliveries wait because they fail, or go on slowly after that.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_deliveries_held", Help: "Deliveries that wait for their destination, counted up to 1,000 each.",
		}),
		held: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "minoots_deliveries_held_back_total", Help: "Deliveries put back to wait for their destination that were about to begin.",
		}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "minoots_breaker_transitions_total", Help: "Changes of breakers that this replica made, by what they became.",
		}, []string{"to"}),
	}
	for _, to := range []minoots.BreakerState{minoots.BreakerOpen, minoots.BreakerRecovering, minoots.BreakerClosed} {
		m.transitions.WithLabelValues(string(to))
	}
	return m, errors.Join(reg.Register(m.open), reg.Register(m.waiting), reg.Register(m.held), reg.Register(m.transitions))
}
