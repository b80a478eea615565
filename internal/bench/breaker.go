package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// breakerMost is how many timers go to a host that is dead.
const breakerMost = 10_000

// breaker is B: many timers of one tenant due at once to a host that refuses
// connections, beside another's at a light rate to one that works. Then the host
// is back.
func breaker(ctx context.Context, l *lab) error {
	const replicas = 2 // what one finds out, the other knows
	timers := min(breakerMost, l.size.noisy)
	t, err := l.freshService(ctx, "b", replicas)
	if err != nil {
		return err
	}
	addr, err := deadAddress(ctx)
	if err != nil {
		return err
	}
	seeding := stormLead + time.Duration(timers)*time.Second/stormPerSecond
	due := time.Now().Add(seeding)
	err = t.database.seed(ctx, seed{
		tenant: l.server.tenants[1].id, timers: timers, first: due, url: "http://" + addr + "/dead/",
	})
	if err != nil {
		return err
	}
	if time.Now().After(due) {
		return fmt.Errorf("%w: seeding %d timers took more than %s", errSlow, timers, seeding)
	}
	if err := pause(ctx, time.Until(due)); err != nil {
		return err
	}
	v, err := l.schedule(ctx, t, "B-healthy", l.size.quietRate, l.size.lateness)
	if err != nil {
		return err
	}
	late, err := v.latenessAtLeast(ctx, l.size.quiet)
	if err != nil {
		return err
	}
	if err := l.reportDead(ctx, t.database, timers, time.Since(due)); err != nil {
		return err
	}
	l.report.addLateness("B.healthy", fmt.Sprintf("%d timers/s of another tenant beside them", l.size.quietRate), late)

	back, err := startReceiver(ctx, addr, "")
	if err != nil {
		return err
	}
	defer func() { _ = back.close() }() // for the ways out before it is closed below
	began := time.Now()
	arrivals := back.expect("dead", timers)
	if err := arrivals.wait(ctx, began, 2*time.Minute+l.size.quiet); err != nil { // a probe may be a minute away
		return err
	}
	_, last := arrivals.came()
	l.report.add("B.back", "from when the host is back until all have come", last.Sub(began).Seconds(), "s")
	l.report.add("B.repeats", "of those, repeated", float64(arrivals.repeated()), "deliveries")
	return errors.Join(l.leave(t), back.close())
}

// reportDead says what became of the timers whose host is dead.
func (l *lab) reportDead(ctx context.Context, d *database, timers int, after time.Duration) error {
	tenant := l.server.tenants[1].id
	what := fmt.Sprintf("%s timers to a dead host, %s on: ", number(float64(timers)), after.Round(time.Second))
	for _, f := range []struct{ key, what, sql, unit string }{
		{"B.attempts", "attempts made", `SELECT count(*) FROM minoots.attempts WHERE tenant_id = $1`, "attempts"},
		{"B.probes", "of these, one at a time to try it", `SELECT coalesce(max(opens) - 1, 0) FROM minoots.destinations WHERE tenant_id = $1`, "probes"},
		{"B.failed", "actions that ran out of attempts", `SELECT count(*) FROM minoots.attempts WHERE tenant_id = $1 AND status = 'failed'`, "actions"},
		{"B.waiting", "seen to wait in destination_report", `SELECT coalesce(sum(waiting), 0) FROM minoots.destination_report WHERE tenant_id = $1`, "deliveries"},
	} {
		n, err := one[int](ctx, d, f.sql, tenant)
		if err != nil {
			return err
		}
		l.report.add(f.key, what+f.what, float64(n), f.unit)
	}
	return nil
}

// repeated gives how many came again.
func (n *run) repeated() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.repeats
}

// deadAddress is one where nobody listens, and somebody may later.
func deadAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
