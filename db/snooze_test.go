package db_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func TestSnooze(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	now, minute, age := d.Clock().Now(), minoots.Duration(time.Minute), minoots.Duration(minoots.MaxHorizon)
	n := timerAt(now.Add(time.Hour), 1, 1)
	n.Spec.JitterMs = 60_000
	create(t, d, n)
	was, due := get(t, d, n.ID), *dueAt(t, database, n.ID)
	jitter := due.Sub(was.FireAt.Time)

	got, err := d.TimerSnooze(t.Context(), tenant, n.ID, &minute, nil)
	require.NoError(t, err)
	assert.Equal(t, was.FireAt.Add(time.Minute), got.Timer.FireAt.Time, "after its time")
	assert.Equal(t, due.Add(time.Minute), got.DueAt, "with its jitter")
	assert.EqualValues(t, 2, got.Timer.Version)
	until := minoots.InstantOf(now.Add(48 * time.Hour))
	for range 2 { // the second time it is so already
		got, err = d.TimerSnooze(t.Context(), tenant, n.ID, nil, &until)
		require.NoError(t, err)
		assert.Equal(t, until, got.Timer.FireAt)
		assert.True(t, until.Add(jitter).Equal(*dueAt(t, database, n.ID)))
		assert.EqualValues(t, 3, got.Timer.Version)
	}
	assert.Zero(t, got.DueAt)
	earlier := minoots.InstantOf(now.Add(47 * time.Hour))
	_, err = d.TimerSnooze(t.Context(), tenant, n.ID, nil, &earlier)
	assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
	assert.ErrorContains(t, err, "due later")
	_, err = d.TimerSnooze(t.Context(), tenant, n.ID, &age, nil)
	assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
	assert.ErrorContains(t, err, "100 years")
	_, err = d.TimerPause(t.Context(), tenant, n.ID)
	require.NoError(t, err)
	_, err = d.TimerSnooze(t.Context(), tenant, n.ID, &minute, nil)
	assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
	assert.ErrorContains(t, err, "is paused")
	assert.EqualValues(t, 4, get(t, d, n.ID).Version)
	assert.Equal(t, []string{"timer.updated", "timer.updated", "timer.paused"}, eventTypes(t, database, n.ID))

	late := timerAt(now.Add(-time.Hour), 1, 1)
	create(t, d, late)
	got, err = d.TimerSnooze(t.Context(), tenant, late.ID, &minute, nil)
	require.NoError(t, err)
	assert.WithinDuration(t, now.Add(time.Minute), got.DueAt, 10*time.Second, "after now")
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10}))
	requireSound(t, d)
}

func TestFireNow(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	for _, paused := range []bool{false, true} {
		n := timerAt(d.Clock().Now().Add(time.Hour), 1, 1)
		n.Spec.JitterMs = 60_000
		create(t, d, n)
		if paused {
			_, err := d.TimerPause(t.Context(), tenant, n.ID)
			require.NoError(t, err)
		}
		now := d.Clock().Now()
		got, err := d.TimerFire(t.Context(), tenant, n.ID)
		require.NoError(t, err)
		assert.Equal(t, minoots.StatusScheduled, got.Timer.Status)
		assert.WithinDuration(t, now, got.DueAt, 10*time.Second)
		assert.True(t, got.DueAt.Equal(got.Timer.FireAt.Time), "without jitter")
		again, err := d.TimerFire(t.Context(), tenant, n.ID)
		require.NoError(t, err)
		assert.Equal(t, got.Timer, again.Timer, "it is due already")
		assert.Zero(t, again.DueAt)
		assert.Len(t, claim(t, d, db.ClaimRequest{LowWater: got.DueAt.Add(-500 * time.Millisecond), Limit: 10}), 1)
		_, err = d.TimerFire(t.Context(), tenant, n.ID)
		assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
		assert.Contains(t, eventTypes(t, database, n.ID), "timer.updated")
	}
	requireSound(t, d)
}

// Snooze and fire race: one of them wins, and both know who.
func TestSnoozeRacesWithClaim(t *testing.T) {
	t.Parallel()
	hour := minoots.Duration(time.Hour)
	database, timers, snoozed, fired := raceWithClaim(t, 300, func(d *db.DB, id minoots.ID) error {
		_, err := d.TimerSnooze(t.Context(), tenant, id, &hour, nil)
		return err
	})
	for i, n := range timers {
		require.NotEqual(t, snoozed[n.ID], fired[n.ID], "timer %d: exactly one wins", i)
	}
	assert.Equal(t, len(snoozed), count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE due_at > now()"))
	assert.Equal(t, len(snoozed), count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.updated'"))
	assert.Equal(t, len(fired), count(t, database, "SELECT count(*) FROM minoots.firings"))
}

// However many ask at once for a timer to fire, from several replicas and while
// kernels claim, it fires once.
func TestFireNowRacesWithClaimsAndItself(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	replicas := []*db.DB{d, connect(t, database.URL), connect(t, database.URL)}
	const timers = 40
	var fired atomic.Int64
	for i := range timers {
		n := timerAt(d.Clock().Now().Add(time.Hour), 1, 1)
		create(t, d, n)
		if i%2 == 0 {
			_, err := d.TimerPause(t.Context(), tenant, n.ID)
			require.NoError(t, err)
		}
		var g errgroup.Group
		for _, replica := range replicas {
			g.Go(func() error {
				_, err := replica.TimerFire(t.Context(), tenant, n.ID)
				if minoots.ErrorCode(err) == minoots.CodeConflict {
					return nil // it has fired
				}
				return err
			})
			g.Go(func() error {
				got, err := replica.TimerClaim(t.Context(), db.ClaimRequest{Limit: 5}, then(func(db.Tx, []db.Fired) error { return nil }))
				fired.Add(int64(len(got)))
				return err
			})
		}
		require.NoError(t, g.Wait())
		fired.Add(int64(len(claim(t, d, db.ClaimRequest{Limit: 5}))))
		require.EqualValues(t, i+1, fired.Load())
	}
	assert.Equal(t, timers, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.updated'"))
	assert.Equal(t, timers, count(t, database, "SELECT count(*) FROM minoots.firings"))
	requireSound(t, d)
}
