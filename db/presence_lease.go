package db

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed query/replica_lease.sql
var replicaLeaseSQL string

//go:embed query/replica_renew.sql
var replicaRenewSQL string

const (
	// leaseFor is how long a lease lasts, by the database's clock: how long the
	// jobs of a killed process wait where no session can hold a lock.
	leaseFor = 5 * time.Second
	// leaseRenew is the time between two renewals, and leaseRetry that after one
	// that failed.
	leaseRenew = time.Second
	leaseRetry = 200 * time.Millisecond
	// leaseLimit is when a process gives itself up, by its own monotonic clock,
	// from the sending of the last renewal that was answered: two thirds of the
	// lease, which began later.
	leaseLimit = leaseFor * 2 / 3
)

// errNotRenewed says that the lease was found expired by others.
var errNotRenewed = errors.New("the lease was not renewed in time")

func (p *Presence) registerLease(ctx context.Context) error {
	if err := p.connectLease(ctx); err != nil {
		return err
	}
	sent := time.Now()
	if _, err := p.conn.Exec(ctx, replicaLeaseSQL, p.replica, leaseFor.Seconds()); err != nil {
		return err
	}
	p.proof.Store(&sent)
	return nil
}

// connectLease connects, maybe through a pooler, which takes no parameters and
// knows no prepared statements.
func (p *Presence) connectLease(ctx context.Context) (err error) {
	cfg, err := pgx.ParseConfig(p.leaseURL)
	if err != nil {
		return fmt.Errorf("parse database URL: %w", redact(err))
	}
	p.dress(cfg)
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	p.conn, err = pgx.ConnectConfig(ctx, cfg)
	return err
}

// keepLease renews the lease. Unlike a lock, a lease outlives its connection:
// one that breaks is made again, as long as there is time.
func (p *Presence) keepLease(ctx context.Context) error {
	for {
		pause := leaseRenew
		err := p.renew(ctx)
		switch {
		case errors.Is(err, errNotRenewed), errors.Is(err, errHeldUp):
			return err
		case err != nil && !p.Alive():
			return fmt.Errorf("%w: %w", errNotRenewed, err)
		case err != nil:
			pause = leaseRetry
		}
		// The limit counts even if this loop was held up.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(pause, max(time.Until(p.proof.Load().Add(leaseLimit)), 0))):
		}
	}
}

// renew renews the lease once, within what is left of it.
func (p *Presence) renew(ctx context.Context) error {
	sent := time.Now()
	ctx, cancel := context.WithDeadline(ctx, p.proof.Load().Add(leaseLimit))
	defer cancel()
	if p.conn == nil || p.conn.IsClosed() {
		if err := p.connectLease(ctx); err != nil {
			return err
		}
		sent = time.Now()
	}
	attempt, cancelAttempt := context.WithTimeout(ctx, presencePingTimeout)
	defer cancelAttempt()
	var slot int
	err := p.conn.QueryRow(attempt, replicaRenewSQL, p.replica, leaseFor.Seconds()).Scan(&slot)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return errNotRenewed
	case err != nil:
		p.hangUp()
		return err
	}
	return p.proved(sent)
}
