package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// Cancel and fire race for a timer 500 times: one of them wins, and both know who.
func TestCancelRacesWithClaim(t *testing.T) {
	t.Parallel()
	database, timers, cancelled, fired := raceWithClaim(t, 500, func(d *db.DB, id minoots.ID) error {
		timer, err := d.TimerCancel(t.Context(), tenant, id, nil, nil)
		if err == nil {
			assert.Equal(t, minoots.StatusCancelled, timer.Status)
		}
		return err
	})
	d := connect(t, database.URL)
	for i, n := range timers {
		require.NotEqual(t, cancelled[n.ID], fired[n.ID], "timer %d: exactly one wins", i)
		want := minoots.StatusFired
		if cancelled[n.ID] {
			want = minoots.StatusCancelled
		}
		require.Equal(t, want, get(t, d, n.ID).Status)
	}
	assert.Equal(t, len(fired), count(t, database, "SELECT count(*) FROM minoots.firings"))
	assert.Equal(t, len(cancelled), count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.cancelled'"))
	assert.Equal(t, len(fired), count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.fired'"))
}

// A cancel that comes while a timer is being fired waits for how that ends.
func TestCancelWaitsForAClaim(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	for _, outcome := range []error{nil, assert.AnError} {
		n := timerAt(d.Clock().Now().Add(-time.Second), 1, 1)
		create(t, d, n)
		var cancelled minoots.Timer
		told := make(chan error, 1)
		_, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 1}, then(func(db.Tx, []db.Fired) error {
			go func() {
				reason, by := "no longer needed", "me"
				var err error
				cancelled, err = d.TimerCancel(t.Context(), tenant, n.ID, &reason, &by)
				told <- err
			}()
			waitForLock(t, database)
			return outcome
		}))
		require.ErrorIs(t, err, outcome)
		if outcome == nil {
			assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(<-told))
			assert.Equal(t, minoots.StatusFired, get(t, d, n.ID).Status)
			continue
		}
		require.NoError(t, <-told)
		assert.Equal(t, minoots.StatusCancelled, cancelled.Status)
		assert.Equal(t, "no longer needed", *cancelled.CancelReason)
		assert.Equal(t, "me", *cancelled.CancelledBy)
		assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 1}))
		again, err := d.TimerCancel(t.Context(), tenant, n.ID, nil, nil)
		require.NoError(t, err)
		assert.Equal(t, cancelled, again, "cancelling twice changes nothing")
	}
}

// Another tenant's timer is not there.
func TestCancelOfAnotherTenant(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	id := create(t, d, timerAt(d.Clock().Now().Add(time.Hour), 0, 0))[0]
	_, err := d.TimerCancel(t.Context(), "other", id, nil, nil)
	assert.Equal(t, minoots.CodeNotFound, minoots.ErrorCode(err))
	_, err = d.TimerGet(t.Context(), "other", id)
	assert.Equal(t, minoots.CodeNotFound, minoots.ErrorCode(err))
	assert.Equal(t, minoots.StatusScheduled, get(t, d, id).Status)
}
