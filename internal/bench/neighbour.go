package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// slowAnswer is how long the noisy tenant's receiver takes for each webhook.
const slowAnswer = 5 * time.Second

// neighbour is N: one tenant's timers at a light rate, first undisturbed, then
// while another tenant has many due whose receiver is slow.
func neighbour(ctx context.Context, l *lab) error {
	t, err := l.freshService(ctx, "n", 1)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d timers/s of a tenant, ", l.size.quietRate)
	alone, err := l.measure(ctx, t, "N-alone", l.size.quietRate)
	if err != nil {
		return err
	}
	l.report.addLateness("N.alone", what+"undisturbed", alone)

	// The noise is there a moment before the volley begins to be measured.
	slow, err := startReceiver(ctx, "", "") // another destination, for a bound may be by that
	if err != nil {
		return err
	}
	defer func() { _ = slow.close() }() // for the ways out before it is closed below
	noisy := slow.expect("noise", l.size.noisy)
	noisy.delay = slowAnswer
	seeding := stormLead + time.Duration(l.size.noisy)*time.Second/stormPerSecond
	noise := time.Now().Add(seeding)
	err = t.database.seed(ctx, seed{
		tenant: l.server.tenants[1].id, timers: l.size.noisy, first: noise, url: noisy.url,
	})
	if err != nil {
		return err
	}
	if time.Now().After(noise) {
		return fmt.Errorf("%w: seeding %d timers took more than %s", errSlow, l.size.noisy, seeding)
	}
	if err := pause(ctx, time.Until(noise)); err != nil {
		return err
	}
	v, err := l.schedule(ctx, t, "N-noise", l.size.quietRate, l.size.lateness)
	if err != nil {
		return err
	}
	// Longer than the goal allows: what is given up is then sure to miss it.
	patience := max(l.size.lateness, time.Duration(4*alone.P99*float64(time.Millisecond)))
	beside, err := v.latenessAtLeast(ctx, patience)
	if err != nil {
		return err
	}
	l.report.addLateness("N.noise", fmt.Sprintf("%sbeside %s of another to a receiver that takes %s",
		what, number(float64(l.size.noisy)), slowAnswer), beside)
	l.report.add("N.undisturbed", "the former", alone.P99, "ms p99")
	l.report.add("N.disturbed", "the latter", beside.P99, "ms p99")
	return errors.Join(slow.close(), l.leave(t)) // in this order, or the replica would wait for answers
}

// latenessAtLeast waits for a volley only so long beyond its end. What has not
// come by then is as late as that at least.
func (v *volley) latenessAtLeast(ctx context.Context, patience time.Duration) (Lateness, error) {
	select {
	case <-v.main.full:
	case <-time.After(time.Until(v.end) + patience):
	case <-ctx.Done():
		return Lateness{}, context.Cause(ctx)
	}
	return v.main.latenessAtLeast(time.Since(v.end)), nil
}
