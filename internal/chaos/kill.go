package chaos

import (
	"context"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// slowReceivers keep some deliveries in flight at any moment: at 500 timers/s, 7.
var slowReceivers = slowness{every: 20, hold: 300 * time.Millisecond}

// killRandom kills a random replica every three seconds and starts another.
func killRandom(ctx context.Context, w *world) error {
	if err := w.begin(ctx, kind{}, slowReceivers); err != nil {
		return err
	}
	w.control = w.startControl(ctx)
	const every = 3 * time.Second
	for next := time.Now(); next.Before(w.load.end); next = next.Add(every) {
		if err := rig.Pause(ctx, time.Until(next)+time.Duration(w.rng.Int64N(int64(every/3)))); err != nil {
			return err
		}
		victim, err := w.pick()
		if err != nil {
			return err
		}
		if err := w.kill(ctx, victim); err != nil {
			return err
		}
		if _, err := w.start(ctx, 1, kind{}); err != nil {
			return err
		}
	}
	t, err := w.settle(ctx)
	if err != nil {
		return err
	}
	w.mustBearDeaths(t)
	return nil
}

// takeOver is how soon after a death what was in flight is delivered again.
const takeOver = 2 * time.Second

// mustBearDeaths holds what is promised for the death of a process.
func (w *world) mustBearDeaths(t *tally) {
	inFlight, frozen := 0, time.Duration(0)
	for _, d := range w.deaths {
		inFlight += len(d.inFlight)
		if !d.frozen.IsZero() {
			frozen = max(frozen, d.at.Sub(d.frozen))
		}
	}
	w.row.note("%d deaths with %d timers in flight, which came again after %s at most; what was merely due came at most %s late, "+
		"the %s at most left out for which replicas stood still before they were killed",
		len(w.deaths), inFlight, t.slowest.Round(time.Millisecond), t.worst.Round(time.Millisecond), frozen.Round(time.Millisecond))
	w.row.must(len(w.deaths) > 0, "no replica died")
	w.row.note("of that, the service has added %s at most to what a timer without it was late by at that moment, which was never more than %s",
		t.added.Round(time.Millisecond), w.control.worst(time.Time{}, time.Now()).Round(time.Millisecond))
	w.row.must(t.added <= onTime, "what was merely due came %s late, %s of that by the service", t.worst.Round(time.Millisecond), t.added.Round(time.Millisecond))
	w.row.must(t.unasked == 0, "%d repeats of what was not in flight", t.unasked)
	w.row.must(t.slowest <= takeOver, "what was in flight came again only after %s", t.slowest.Round(time.Millisecond))
}
