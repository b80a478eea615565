package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// seed says which timers to write past the API: far more in a second than it
// takes, and in the past too, which it refuses.
type seed struct {
	tenant string
	timers int
	first  time.Time     // due instant of the first
	every  time.Duration // between two; 0 for all at one instant
	url    string        // of their webhooks, as in refSpec
	// statesOnly leaves the definitions out, which L2 does not read.
	statesOnly bool
}

// The ids are of version 7 in form: milliseconds, and a counter for the random
// part. Both statements compute the same ones, so that nothing has to be
// remembered in between.
const seedID = `(lpad(to_hex($1::bigint), 12, '0') || '70008' || lpad(to_hex(i), 15, '0'))::uuid`

// seedDue is rounded as the API's instants are, to microseconds.
const seedDue = `$3::timestamptz + i * $4::bigint * interval '1 microsecond'`

const seedStates = `
	INSERT INTO minoots.timer_states (id, fire_at, due_at, updated_at, actions, tenant_id)
	SELECT ` + seedID + `, ` + seedDue + `, ` + seedDue + `, now(), 1, $5
	FROM generate_series(0, $2::bigint - 1) AS i`

const seedTimers = `
	INSERT INTO minoots.timers (id, created_at, tenant_id, name, requested_by, labels, bundle)
	SELECT ` + seedID + `, now(), $5, $6, $7, jsonb_build_object($8::text, 's-' || i % $9::bigint),
		($10 || (extract(epoch FROM ` + seedDue + `) * 1000000)::bigint || $11)::json
	FROM generate_series(0, $2::bigint - 1) AS i`

// seedStatement is one of the two that write a seed.
type seedStatement struct {
	sql  string
	args []any
}

// statements are those that write the seed.
func (s seed) statements() (states, timers seedStatement) {
	args := []any{time.Now().UnixMilli(), s.timers, s.first.Truncate(time.Microsecond), s.every.Microseconds(), s.tenant}
	before, after := refStored(s.url)
	return seedStatement{seedStates, args},
		seedStatement{seedTimers, append(slices.Clone(args), refName, refRequestedBy, refLabel, refSessions, before, after)}
}

// seed writes timers and calms the database. The timers are there all at once.
func (d *database) seed(ctx context.Context, s seed) error {
	states, timers := s.statements()
	err := pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, states.sql, states.args...); err != nil || s.statesOnly {
			return err
		}
		_, err := tx.Exec(ctx, timers.sql, timers.args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("seed %s timers: %w", number(float64(s.timers)), err)
	}
	return d.calm(ctx)
}

// pendingYears is over how long the pending timers of P5 to P7 are spread: the
// horizon that the service promises.
const pendingYears = 10

// withMillion gives the database with the pending timers, which P5, P6 and P7
// share.
func (l *lab) withMillion(ctx context.Context) (*database, error) {
	if l.million != nil {
		return l.million, nil
	}
	d, err := l.database(ctx, "pending")
	if err != nil {
		return nil, err
	}
	l.say("      seeding %s pending timers", number(float64(l.size.pending)))
	span := pendingYears * 365 * 24 * time.Hour
	err = d.seed(ctx, seed{
		tenant: l.server.tenants[0].id, timers: l.size.pending, url: l.receiver.url("pending"),
		first: time.Now().Add(24 * time.Hour), every: span / time.Duration(l.size.pending),
	})
	if err != nil {
		return nil, err
	}
	l.million = d
	return d, nil
}
