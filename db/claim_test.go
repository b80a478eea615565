package db_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// Eight replicas in a storm: each of 5,000 due timers fires once, and not one of
// those that are due later.
func TestClaimByManyReplicas(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	const due, later, replicas, batch = 5_000, 500, 8, 200
	now := past(d)
	timers := make([]db.NewTimer, 0, due+later)
	for i := range due {
		timers = append(timers, timerAt(now.Add(-time.Duration(i%100)*time.Millisecond), i%3, 1))
	}
	for i := range later {
		timers = append(timers, timerAt(now.Add(time.Hour+time.Duration(i)*time.Microsecond), 1, 1))
	}
	create(t, d, timers...)

	var mu sync.Mutex
	times := map[minoots.ID]int{}
	busy := 0
	var g errgroup.Group
	for range replicas {
		replica := connect(t, database.URL)
		g.Go(func() error {
			mine := 0
			// A short batch is not the end: others may hold the rest. They may also
			// fail, so that a kernel looks again; here nobody does.
			for {
				fired, err := replica.TimerClaim(t.Context(), db.ClaimRequest{Limit: batch}, then(func(db.Tx, []db.Fired) error { return nil }))
				if err != nil || len(fired) == 0 {
					mu.Lock()
					defer mu.Unlock()
					if mine > 0 {
						busy++
					}
					return err
				}
				mine += len(fired)
				mu.Lock()
				for _, f := range fired {
					times[f.ID]++
					assert.False(t, f.FiredAt.Before(f.DueAt), "early")
					assert.Equal(t, 1, f.Occurrence)
				}
				mu.Unlock()
			}
		})
	}
	require.NoError(t, g.Wait())
	assert.Greater(t, busy, 1, "nobody competed")
	assert.Len(t, times, due)
	for i, n := range timers {
		want := 0
		if i < due {
			want = 1
		}
		if times[n.ID] != want {
			assert.Equal(t, want, times[n.ID], "timer %d", i)
			break
		}
	}
	assert.Equal(t, due, count(t, database, "SELECT count(*) FROM minoots.firings"))
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.firings WHERE fired_at < due_at OR occurrence <> 1"))
	assert.Equal(t, due, count(t, database, "SELECT count(DISTINCT timer_id) FROM minoots.events WHERE type = 'timer.fired'"))
	assert.Equal(t, due, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.fired'"))
	assert.Equal(t, later, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE status = 'scheduled' AND occurrence = 0"))
	// Those without actions are over.
	assert.Equal(t, (due+2)/3, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE status = 'settled'"))
	assert.Equal(t, (due+2)/3, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.settled'"))
}

// Due-ness is a comparison with the database's clock, or with the one given.
func TestClaimIsNeverEarly(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	at := d.Clock().Now().Add(time.Hour).Truncate(time.Microsecond)
	var timers []db.NewTimer
	for _, offset := range []time.Duration{-1, 0, 1, 2} {
		timers = append(timers, timerAt(at.Add(offset*time.Microsecond), 0, 0))
	}
	create(t, d, timers...)
	ids := func(now time.Time) (all []minoots.ID) {
		for _, f := range claim(t, d, db.ClaimRequest{Limit: 10, Now: now}) {
			assert.False(t, f.DueAt.After(now) && !now.IsZero())
			all = append(all, f.ID)
		}
		return all
	}
	assert.Empty(t, ids(time.Time{}))
	assert.Empty(t, ids(at.Add(-2*time.Microsecond)))
	assert.Equal(t, []minoots.ID{timers[0].ID, timers[1].ID}, ids(at), "in the order of their time")
	assert.Empty(t, ids(at))
	assert.Equal(t, []minoots.ID{timers[2].ID}, ids(at.Add(time.Microsecond)))
	assert.Equal(t, []minoots.ID{timers[3].ID}, ids(at.Add(time.Hour)))
}

func TestClaimHonoursTheJitter(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	n := timerAt(d.Clock().Now().Add(time.Hour), 0, 0)
	n.Spec.JitterMs = 60_000
	created, err := d.TimerCreate(t.Context(), []db.NewTimer{n})
	require.NoError(t, err)
	due := created[0].DueAt
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: due.Add(-time.Microsecond)}))
	assert.Len(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: due}), 1)
}

func TestClaimBounds(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	now := d.Clock().Now().Truncate(time.Microsecond)
	var timers []db.NewTimer
	for i := range 5 {
		timers = append(timers, timerAt(now.Add(time.Duration(i-5)*time.Second), 0, 0))
	}
	create(t, d, timers...)
	due := func(i int) time.Time { return timers[i].Spec.FireAt.Time }

	// From the low-water mark on, itself included, the oldest first, so many.
	fired := claim(t, d, db.ClaimRequest{LowWater: due(2), Limit: 2})
	require.Len(t, fired, 2)
	assert.Equal(t, []minoots.ID{timers[2].ID, timers[3].ID}, []minoots.ID{fired[0].ID, fired[1].ID})
	assert.Len(t, claim(t, d, db.ClaimRequest{LowWater: due(2), Limit: 10}), 1)
	assert.Empty(t, claim(t, d, db.ClaimRequest{LowWater: due(1).Add(time.Microsecond), Limit: 10}))
	next, _, err := d.TimerNext(t.Context(), due(1))
	require.NoError(t, err)
	assert.True(t, due(1).Equal(next))

	// The sweep finds what lies below.
	n, oldest, err := d.TimerBacklog(t.Context(), 10)
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.True(t, due(0).Equal(oldest))
	assert.Len(t, claim(t, d, db.ClaimRequest{Limit: 10}), 2)
	next, _, err = d.TimerNext(t.Context(), time.Time{})
	require.NoError(t, err)
	assert.Zero(t, next)
}

// A claim hands on all that the actions need.
func TestClaimCarriesTheDefinition(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	n := timerAt(d.Clock().Now().Add(-time.Minute), 2, 2)
	n.Spec.Name, n.Spec.RequestedBy = "näme", "agent:planner"
	n.Spec.Labels, n.Spec.Metadata = map[string]string{"session": "s-17"}, []byte(`{"any":"JSON"}`)
	n.Spec.AgentBinding = &minoots.AgentBinding{Adapter: "mcp", Target: "x"}
	create(t, d, n)
	called := 0
	fired, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 10}, then(func(tx db.Tx, fired []db.Fired) error {
		called++
		assert.Len(t, fired, 1)
		return tx.Conn().Ping(t.Context())
	}))
	require.NoError(t, err)
	require.Len(t, fired, 1)
	f := fired[0]
	assert.Equal(t, db.Fired{
		ID: n.ID, TenantID: tenant, Occurrence: 1, Actions: 2, DueAt: f.DueAt, FiredAt: f.FiredAt, Name: "näme", RequestedBy: "agent:planner",
		Labels: n.Spec.Labels, Metadata: n.Spec.Metadata, Bundle: *n.Spec.ActionBundle, AgentBinding: n.Spec.AgentBinding,
	}, f)
	assert.True(t, f.DueAt.Equal(n.Spec.FireAt.Time))

	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10}))
	_, err = d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 10}, then(func(db.Tx, []db.Fired) error { called++; return nil }))
	require.NoError(t, err)
	assert.Equal(t, 1, called, "nothing due, nothing to do")
}

// A claim steps over what another one holds, and does not wait for it.
func TestClaimsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	database, one := setup(t)
	two := connect(t, database.URL)
	now := one.Clock().Now()
	timers := []db.NewTimer{timerAt(now.Add(-3*time.Second), 0, 0), timerAt(now.Add(-2*time.Second), 0, 0), timerAt(now.Add(-time.Second), 0, 0)}
	create(t, one, timers...)
	var inner []db.Fired
	outer, err := one.TimerClaim(t.Context(), db.ClaimRequest{Limit: 2}, then(func(db.Tx, []db.Fired) error {
		inner = claim(t, two, db.ClaimRequest{Limit: 2})
		return nil
	}))
	require.NoError(t, err)
	require.Len(t, outer, 2)
	require.Len(t, inner, 1)
	assert.Equal(t, timers[2].ID, inner[0].ID)
	assert.False(t, slices.ContainsFunc(outer, func(f db.Fired) bool { return f.ID == inner[0].ID }))
}
