package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// target is a service to call: replicas of the bench's own, or a deployment.
type target struct {
	*caller
	fleet    []*replica // of our own
	database *database  // nil for a deployment
	tenant   tenant
}

// String says who is called, for the table.
func (t *target) String() string {
	if t.remember {
		return "the deployment"
	}
	return replicaCount(len(t.fleet))
}

func replicaCount(n int) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}

// clients is how many callers P1 has, and L1 connections.
const clients = 32

// deployment is the one that the bench was given.
func (l *lab) deployment() *target {
	c := newCaller(l.cfg.URL, l.cfg.Key, clients)
	c.remember = true
	return &target{caller: c}
}

// service starts replicas on a database; the first one is called.
func (l *lab) service(ctx context.Context, d *database, n int) (*target, error) {
	fleet, err := l.replicas(ctx, d, n, allRoles)
	if err != nil {
		return nil, err
	}
	who := l.server.tenants[0]
	return &target{caller: newCaller(fleet[0].API, who.key, clients), fleet: fleet, database: d, tenant: who}, nil
}

// freshService starts replicas on a database of their own, or gives the
// deployment.
func (l *lab) freshService(ctx context.Context, name string, n int) (*target, error) {
	if l.cfg.URL != "" {
		return l.deployment(), nil
	}
	d, err := l.database(ctx, name)
	if err != nil {
		return nil, err
	}
	return l.service(ctx, d, n)
}

// leave ends what a step has used of the target.
func (l *lab) leave(t *target) error {
	t.close()
	if t.remember {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		return t.cancelMade(ctx)
	}
	return l.stopReplicas(t.fleet)
}

// settled waits until every timer of the database that was due by an instant is
// settled, and checks that there are as many as there should be.
func (d *database) settled(ctx context.Context, by time.Time, timers int, patience time.Duration) error {
	const open = `SELECT count(*) FROM minoots.timer_states WHERE fire_at <= $1 AND status IN ('scheduled', 'fired')`
	err := until(ctx, 50*time.Millisecond, patience, "all outcomes are recorded", func() (bool, error) {
		n, err := one[int](ctx, d, open, by)
		return n == 0, err
	})
	if err != nil {
		return err
	}
	n, err := one[int](ctx, d, `SELECT count(*) FROM minoots.timer_states WHERE fire_at <= $1 AND status = 'settled'`, by)
	if err == nil && n != timers {
		err = fmt.Errorf("%w: of %d timers %d are settled", errLost, timers, n)
	}
	return err
}

// errSlow is a machine on which the timers of a measurement cannot be written
// before they are due.
var errSlow = errors.New("this machine is too slow, or too busy, for this measurement")
