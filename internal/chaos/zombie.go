package chaos

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// zombie has a replica stand still, long enough for the others to take over its
// work, and go on as if nothing had happened. It is the oldest one, which claims
// first.
func zombie(ctx context.Context, w *world) error {
	if err := w.begin(ctx, kind{}, slowReceivers); err != nil {
		return err
	}
	if err := w.untilDue(ctx, 2*time.Second+time.Duration(w.rng.Int64N(int64(time.Second)))); err != nil {
		return err
	}
	still := 30 * time.Second
	if w.h.cfg.Short {
		still = 6 * time.Second
	}
	victim := w.live()[0]
	if err := victim.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop a replica: %w", err)
	}
	stopped := time.Now()
	inFlight := w.underWay(ctx, victim.name)
	// A load balancer would see that it does not answer. What it had accepted by
	// then is with the client to repeat.
	w.remove(victim)
	if err := rig.Pause(ctx, still); err != nil {
		return err
	}
	if err := victim.Process.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("continue a replica: %w", err)
	}
	w.ended(victim, stopped, inFlight)
	t, err := w.settle(ctx)
	if err != nil {
		return err
	}
	w.row.note("%d timers in flight when it stood still; the last of them that came again did after %s", len(inFlight), t.slowest.Round(time.Millisecond))
	if !victim.Over() {
		if n, err := victim.Metric(ctx, "minoots_outcomes_superseded_total"); err == nil {
			w.row.note("%.0f late outcomes that changed nothing", n)
		}
	}
	// That its late completions change nothing is in what every scenario checks:
	// no action succeeds twice, no timer fires twice.
	w.row.must(t.unasked == 0, "%d repeats of what was not in flight", t.unasked)
	return nil
}
