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
	w.control = w.startControl(ctx)
	if err := w.begin(ctx, kind{}, slowReceivers); err != nil {
		return err
	}
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

// mayBeLate bounds the lateness of what was merely due. The short form, in CI, has
// one death and the other work of CI beside it: what it finds is a loss, not a tail.
func (w *world) mayBeLate() time.Duration {
	if w.h.cfg.Short {
		return 4 * onTime
	}
	return onTime
}

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
	w.row.note("on a machine as fast as this one at its best that were %s: it was slower by %.1f in the mean (the worst was due %s after the first)",
		t.own.Round(time.Millisecond), w.control.slowdown(time.Time{}, time.Now()), t.ownDue.Sub(w.load.begin).Round(time.Millisecond))
	w.row.must(t.own <= w.mayBeLate(), "what was merely due came %s late, %s of that not by the machine",
		t.worst.Round(time.Millisecond), t.own.Round(time.Millisecond))
	w.row.must(t.unasked == 0, "%d repeats of what was not in flight", t.unasked)
	w.row.must(t.slowest <= takeOver, "what was in flight came again only after %s", t.slowest.Round(time.Millisecond))
}
