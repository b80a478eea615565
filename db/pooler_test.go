package db_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// A pooler is known by its answer, not by its port or its name.
func TestPoolerIsDetected(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	pooler := database.PgBouncer(t)
	assert.False(t, connect(t, database.URL).Pooled())
	assert.True(t, connect(t, pooler).Pooled())

	s := &db.Session{
		URL: pooler, Name: "pooled", Log: slog.New(slog.DiscardHandler),
		OnDue:    func([]time.Time, bool) { t.Error("a hint through a pooler") },
		OnChange: func(seat int) { t.Errorf("seat %d through a pooler", seat) },
	}
	require.ErrorIs(t, s.Run(t.Context()), db.ErrPooled)
}

// Everything works through a pooler in transaction mode, for many at once, where
// no two statements need meet the same connection.
func TestEverythingThroughAPooler(t *testing.T) {
	t.Parallel()
	database := empty(t)
	pooler := database.PgBouncer(t)
	var g errgroup.Group
	for range 3 {
		g.Go(func() error { return db.MigrateUp(t.Context(), pooler) })
	}
	require.NoError(t, g.Wait())
	compareGolden(t, "schema.golden", dumpSchema(t, database.Pool))
	assert.Zero(t, count(t, database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "the user's own schema is left alone")

	const replicas, rounds = 6, 5
	at := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	for i := range replicas {
		d := connect(t, pooler)
		g.Go(func() error {
			for round := range rounds {
				if err := everything(t, database, d, fmt.Sprintf("tenant-%d-%d", i, round), at.Add(time.Duration(i*rounds+round)*time.Second)); err != nil {
					return fmt.Errorf("replica %d, round %d: %w", i, round, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	assert.Equal(t, replicas*rounds, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE status = 'settled'"))
	assert.Equal(t, replicas*rounds, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE status = 'cancelled'"))
}

// everything is a tenant's life, by every operation of the package. Nobody else
// has a timer at that instant.
func everything(t *testing.T, database *testdb.DB, d *db.DB, tenant string, at time.Time) (err error) {
	ctx := t.Context()
	try := func(what string, e error) {
		if err == nil && e != nil {
			err = fmt.Errorf("%s: %w", what, e)
		}
	}
	must := func(what string, ok bool) {
		if !ok {
			try(what, fmt.Errorf("not as expected"))
		}
	}
	_, e := d.TenantCreate(ctx, tenant, "")
	try("TenantCreate", e)
	_, e = d.TenantRename(ctx, tenant, "name")
	try("TenantRename", e)
	got, e := d.TenantGet(ctx, tenant)
	try("TenantGet", e)
	must("TenantGet", got.Name == "name")
	_, e = d.TenantPage(ctx, "", 10)
	try("TenantPage", e)

	hash := []byte(tenant + "-hash-of-thirty-two-bytes")
	key, e := d.KeyCreate(ctx, minoots.Key{ID: minoots.NewID(), TenantID: tenant, Prefix: "mk_", Roles: []minoots.Role{minoots.RoleTimerRead}}, hash)
	try("KeyCreate", e)
	principal, e := d.KeyFind(ctx, hash)
	try("KeyFind", e)
	must("KeyFind", principal.TenantID == tenant && principal.May(minoots.RoleTimerRead))
	_, e = d.KeyPage(ctx, tenant, minoots.ID{}, 10)
	try("KeyPage", e)
	_, e = d.KeyRevoke(ctx, tenant, key.ID)
	try("KeyRevoke", e)
	_, e = d.KeyFind(ctx, hash)
	must("a revoked key", minoots.ErrorCode(e) == minoots.CodeNotFound)

	first := db.Secret{ID: minoots.NewID(), Secret: make([]byte, 24)}
	_, e = d.SecretEnsure(ctx, tenant, first)
	try("SecretEnsure", e)
	_, e = d.SecretRotate(ctx, tenant, db.Secret{ID: minoots.NewID(), Secret: make([]byte, 24)}, time.Hour)
	try("SecretRotate", e)
	secrets, e := d.SecretLive(ctx, tenant)
	try("SecretLive", e)
	must("SecretLive", len(secrets) == 2)

	// One to fire, found by its own low-water mark and instant; one to cancel.
	fires, waits := timerAt(at, 1, 1), timerAt(at.Add(24*time.Hour), 0, 0)
	for _, n := range []*db.NewTimer{&fires, &waits} {
		n.TenantID, n.Spec.Name, n.Spec.Labels = tenant, "näme", map[string]string{"a": "b"}
		n.IdempotencyKey, n.Fingerprint = n.ID.String(), []byte{1}
	}
	_, e = d.TimerCreate(ctx, []db.NewTimer{fires, waits})
	try("TimerCreate", e)
	again, e := d.TimerCreate(ctx, []db.NewTimer{fires})
	try("TimerCreate again", e)
	must("TimerCreate again", e == nil && again[0].Replayed)
	page, e := d.TimerPage(ctx, tenant, db.TimerPageRequest{Limit: 10, TimerFilter: db.TimerFilter{
		Statuses: []minoots.Status{minoots.StatusScheduled}, Labels: map[string]string{"a": "b"}, Name: "näme", DueAfter: at,
	}})
	try("TimerPage", e)
	must("TimerPage", len(page) == 2)
	_, _, e = d.TimerNext(ctx, at)
	try("TimerNext", e)
	_, e = d.TimerUpcoming(ctx, at, at.Add(48*time.Hour), 10)
	try("TimerUpcoming", e)
	_, _, e = d.TimerBacklog(ctx, 10)
	try("TimerBacklog", e)
	if err != nil {
		return err
	}

	jobs := &db.JobBatch{Replica: "replica", Jobs: []db.Job{
		{Here: true, Queue: "webhook", MaxAttempts: 1, Args: []byte(`{}`)}, {Queue: "webhook-7", MaxAttempts: 1, Args: []byte(`{}`)},
	}}
	mine, e := d.TimerClaim(ctx, db.ClaimRequest{LowWater: at, Limit: 1, Now: at},
		func(context.Context, db.Tx, []db.Fired) (*db.JobBatch, error) { return jobs, nil })
	if e != nil || len(mine) != 1 || mine[0].ID != fires.ID {
		return fmt.Errorf("TimerClaim: %v, %w", mine, e)
	}
	committed, here, e := d.JobResolve(ctx, jobs.Xid)
	try("JobResolve", e)
	must("JobResolve", committed && len(here) == 1)
	try("JobRelease", d.JobRelease(ctx, "replica", []int64{jobs.Jobs[0].ID}, []string{"webhook"}))
	_, _, e = d.LanePage(ctx) // others have lanes here too
	try("LanePage", e)
	live, e := d.OutcomeRecord(ctx, "replica", []db.OutcomeRecord{running(t, database, mine[0])}, nil)
	try("OutcomeRecord", e)
	must("OutcomeRecord", len(live) == 1 && live[0])
	firing, e := d.FiringGet(ctx, tenant, fires.ID, 1)
	try("FiringGet", e)
	must("FiringGet", firing.Status == minoots.FiringSettled && len(firing.Attempts) == 1)
	cancelled, e := d.TimerCancel(ctx, tenant, waits.ID, nil, nil)
	try("TimerCancel", e)
	must("TimerCancel", cancelled.Status == minoots.StatusCancelled)

	_, e = d.PartitionsEnsure(ctx)
	try("PartitionsEnsure", e)
	_, e = d.IdempotencyForget(ctx, time.Hour)
	try("IdempotencyForget", e)
	_, _, e = d.ReplicaLost(ctx, time.Hour)
	try("ReplicaLost", e)
	_, e = d.JobRedispatch(ctx, []string{"nobody"})
	try("JobRedispatch", e)
	_, e = d.JobWorn(ctx, []string{"nobody"}, noMore)
	try("JobWorn", e)
	_, e = d.JobAbandoned(ctx, noMore)
	try("JobAbandoned", e)
	_, e = d.ReplicaForget(ctx, time.Hour)
	try("ReplicaForget", e)
	pending, e := d.MigrationsPending(ctx)
	try("MigrationsPending", e)
	must("MigrationsPending", !pending)
	try("MeasureClock", d.MeasureClock(ctx))
	try("Ping", d.Ping(ctx))
	try("InTx", d.InTx(ctx, func(tx db.Tx) error { return tx.Conn().Ping(ctx) }))
	return err
}

// Hints travel through a pooler, to kernels that have a direct connection.
func TestNotifierThroughAPooler(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	k := listen(t, database.URL, "direct")
	k.sits(0)
	d := connect(t, database.PgBouncer(t))
	at := d.Clock().Now().Truncate(time.Microsecond)
	announce(t, d, at)
	assert.True(t, at.Equal(next(t, k.hints).instants[0]))
}
