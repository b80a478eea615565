package db_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// A recurring timer that missed three occurrences while it was paused.
func TestResumeRecurringTimer(t *testing.T) {
	t.Parallel()
	for policy, c := range map[minoots.ResumePolicy]struct {
		skipped, occurrence int
		now                 bool
	}{
		minoots.ResumeShift: {0, 0, false},
		minoots.ResumeSkip:  {3, 3, false},
		minoots.ResumeFire:  {0, 0, true},
	} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			database, d := setup(t)
			n := every(time.Hour, 1)
			start := minoots.InstantOf(d.Clock().Now().Add(-150 * time.Minute))
			n.Spec.Recurrence.StartAt = &start
			create(t, d, n)
			_, err := d.TimerPause(t.Context(), tenant, n.ID)
			require.NoError(t, err)
			// As if it had been paused before all of that.
			_, err = database.Pool.Exec(t.Context(), "UPDATE minoots.timer_states SET fire_at = $2, held_due_at = $2 WHERE id = $1", n.ID, start.Time)
			require.NoError(t, err)
			_, err = database.Pool.Exec(t.Context(), "UPDATE minoots.timers SET anchor = $2 WHERE id = $1", n.ID, start.Add(-time.Hour))
			require.NoError(t, err)
			changed, err := d.TimerResume(t.Context(), tenant, n.ID, policy)
			require.NoError(t, err)
			timer := changed.Timer
			assert.Equal(t, minoots.StatusScheduled, timer.Status)
			assert.Equal(t, c.occurrence, timer.Occurrence)
			if c.now {
				assert.WithinDuration(t, d.Clock().Now(), timer.FireAt.Time, time.Minute)
			} else {
				assert.True(t, start.Add(3*time.Hour).Equal(timer.FireAt.Time), "the next as scheduled")
			}
			assert.Equal(t, c.skipped, count(t, database, "SELECT count(*) FROM minoots.firings WHERE status = 'skipped'"))
			again, err := d.TimerResume(t.Context(), tenant, n.ID, policy)
			require.NoError(t, err)
			assert.Equal(t, timer, again.Timer, "a repeat changes nothing")
			fired := claim(t, d, db.ClaimRequest{Limit: 1, Now: timer.FireAt.Add(time.Second)})
			require.Len(t, fired, 1)
			assert.True(t, start.Add(3*time.Hour).Before(get(t, d, n.ID).FireAt.Time) || c.now)
			assert.Zero(t, get(t, d, n.ID).FireAt.Sub(start.Time)%time.Hour, "on its grid")
			audited(t, d)
		})
	}
}

// A claim that dies before its commit leaves the occurrence to the next.
func TestRecurringTimerWhoseClaimDies(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := every(time.Minute, 0)
	created, err := d.TimerCreate(t.Context(), []db.NewTimer{n})
	require.NoError(t, err)
	first := created[0].Timer.FireAt.Time
	_, err = d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 1, Now: first}, then(func(db.Tx, []db.Fired) error { return errors.New("died") }))
	require.ErrorContains(t, err, "died")
	assert.Equal(t, created[0].Timer, get(t, d, n.ID), "nothing happened")
	assert.Len(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: first}), 1)
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: first}))
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.firings"))
	assert.True(t, first.Add(time.Minute).Equal(get(t, d, n.ID).FireAt.Time))
	audited(t, d)
}

// Fired by hand, it fires once more, and goes on as scheduled.
func TestFireRecurringTimerByHand(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	n := every(time.Hour, 0)
	created, err := d.TimerCreate(t.Context(), []db.NewTimer{n})
	require.NoError(t, err)
	changed, err := d.TimerFire(t.Context(), tenant, n.ID)
	require.NoError(t, err)
	require.Len(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: changed.DueAt}), 1)
	got := get(t, d, n.ID)
	assert.Equal(t, created[0].Timer.FireAt, got.FireAt)
	assert.Equal(t, 1, got.Occurrence)
	_, err = d.TimerPause(t.Context(), tenant, n.ID)
	require.NoError(t, err)
	_, err = d.TimerFire(t.Context(), tenant, n.ID)
	assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
	audited(t, d)
}
