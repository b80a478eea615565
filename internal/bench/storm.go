package bench

import (
	"context"
	"fmt"
	"time"
)

// storms is P4: many timers due at the same instant, one replica with all roles.
func storms(ctx context.Context, l *lab) error {
	for _, s := range []struct {
		key    string
		timers int
	}{{"small", l.size.stormSmall}, {"large", l.size.stormLarge}} {
		if err := storm(ctx, l, "P4."+s.key, s.timers); err != nil {
			return err
		}
	}
	return nil
}

// Seeding must be over when the storm breaks. Two idle cores write some 25,000
// timers a second, a busy machine a fifth of that.
const (
	stormLead      = 3 * time.Second
	stormPerSecond = 5000
)

func storm(ctx context.Context, l *lab, key string, timers int) error {
	d, err := l.database(ctx, fmt.Sprintf("p4_%d", timers))
	if err != nil {
		return err
	}
	fleet, err := l.replicas(ctx, d, 1, allRoles)
	if err != nil {
		return err
	}
	arrivals := l.receiver.expect(d.name, timers)
	lead := stormLead + time.Duration(timers)*time.Second/stormPerSecond
	due := time.Now().Add(lead).Truncate(time.Microsecond)
	l.say("      %s timers, due in %s", number(float64(timers)), lead.Round(time.Second))
	if err := d.seed(ctx, seed{tenant: l.server.tenants[0].id, timers: timers, first: due, url: arrivals.url}); err != nil {
		return err
	}
	if time.Now().After(due) {
		return fmt.Errorf("%w: seeding %d timers took more than %s", errSlow, timers, lead)
	}
	if err := pause(ctx, time.Until(due)); err != nil {
		return err
	}
	profiled := l.profile(ctx, key, fleet, 5*time.Second)
	if err := arrivals.wait(ctx, due, l.size.quiet); err != nil {
		return err
	}
	if err := d.settled(ctx, due, timers, l.size.quiet); err != nil {
		return err
	}
	// settled_at is when the transaction that recorded the outcome began: some
	// milliseconds of the seconds that this takes.
	recorded, err := one[time.Time](ctx, d, "SELECT max(settled_at) FROM minoots.timer_states")
	if err != nil {
		return err
	}
	_, received := arrivals.came()
	perSecond := func(at time.Time) float64 { return float64(timers) / at.Sub(due).Seconds() }
	what := fmt.Sprintf("storm of %s: ", number(float64(timers)))
	l.report.add(key+".received", what+"webhooks received", perSecond(received), "timers/s")
	l.report.add(key+".recorded", what+"outcomes recorded", perSecond(recorded), "timers/s")
	profiled()
	return l.stopReplicas(fleet)
}
