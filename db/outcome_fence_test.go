package db_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// history is all that an outcome may change of a timer, in one text.
func history(t *testing.T, database *testdb.DB, id minoots.ID) (text string) {
	t.Helper()
	require.NoError(t, database.Pool.QueryRow(t.Context(), `
		SELECT concat_ws(E'\n',
			(SELECT s::text FROM minoots.timer_states s WHERE id = $1),
			(SELECT string_agg(f::text, E'\n' ORDER BY occurrence) FROM minoots.firings f WHERE timer_id = $1),
			(SELECT string_agg(a::text, E'\n' ORDER BY a::text) FROM minoots.attempts a WHERE timer_id = $1),
			(SELECT string_agg(e::text, E'\n' ORDER BY seq) FROM minoots.events e WHERE timer_id = $1),
			(SELECT string_agg(j::text, E'\n' ORDER BY j.id) FROM river.river_job j))`, id).Scan(&text))
	return text
}

// A group whose commit was of unknown outcome is recorded again.
func TestOutcomeRecordedTwice(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f, other := fire(t, d, 2, 2), fire(t, d, 1, 1)
	group := []db.OutcomeRecord{runningAction(t, database, f, 0), running(t, database, other)}
	record(t, d, []bool{true, true}, group...)
	before := history(t, database, f.ID) + history(t, database, other.ID)
	record(t, d, []bool{false, false}, group...)
	assert.Equal(t, before, history(t, database, f.ID)+history(t, database, other.ID))

	record(t, d, []bool{true}, runningAction(t, database, f, 1))
	assert.NotEqual(t, before, history(t, database, f.ID)+history(t, database, other.ID), "what is new counts")
}

// A worker that was given up comes back with its outcome.
func TestOutcomeOfAZombie(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	for what, change := range map[string]string{
		"its job moved on":       "UPDATE river.river_job SET attempt = 2 WHERE id = $1",
		"its job is retried":     "UPDATE river.river_job SET state = 'retryable' WHERE id = $1",
		"its job was completed":  "UPDATE river.river_job SET state = 'completed', finalized_at = now() WHERE id = $1",
		"its job was cancelled":  "UPDATE river.river_job SET state = 'cancelled', finalized_at = now() WHERE id = $1",
		"its job was cleaned up": "DELETE FROM river.river_job WHERE id = $1",
	} {
		f := fire(t, d, 2, 1)
		final := running(t, database, f)
		_, err := database.Pool.Exec(t.Context(), change, final.JobID)
		require.NoError(t, err)
		retry := final
		retry.Final, retry.Outcome = false, failed("busy")
		before := history(t, database, f.ID)
		record(t, d, []bool{false}, final)
		record(t, d, []bool{false}, retry)
		assert.Equal(t, before, history(t, database, f.ID), what)
	}

	// Beside the current attempt's, in one group.
	f := fire(t, d, 3, 1)
	zombie := running(t, database, f)
	zombie.Outcome = failed("too late")
	_, err := database.Pool.Exec(t.Context(), "UPDATE river.river_job SET attempt = 2 WHERE id = $1", zombie.JobID)
	require.NoError(t, err)
	current := zombie
	current.Attempt, current.Outcome = 2, succeeded()
	retry := zombie
	retry.Final = false
	next := ""
	live, err := d.OutcomeRecord(t.Context(), "replica", []db.OutcomeRecord{zombie, current, retry},
		after(func(_ context.Context, _ db.Tx, deliveries []minoots.Delivery) error {
			for _, n := range deliveries {
				next += n.Action.ID
			}
			return nil
		}))
	require.NoError(t, err)
	assert.Equal(t, []bool{false, true, false}, live)
	assert.Equal(t, "b", next)
	firing, err := d.FiringGet(t.Context(), tenant, f.ID, 1)
	require.NoError(t, err)
	assert.Zero(t, firing.Failed)
	require.Len(t, firing.Attempts, 1)
	assert.Equal(t, 2, firing.Attempts[0].Attempt)
}

// A firing that is over stays as it is; what was tried is noted all the same.
func TestOutcomeOfAFiringThatIsOver(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 3, 1)
	_, err := database.Pool.Exec(t.Context(),
		"UPDATE minoots.firings SET status = 'cancelled', settled_at = now(), reason = 'enough' WHERE timer_id = $1", f.ID)
	require.NoError(t, err)
	before, err := d.FiringGet(t.Context(), tenant, f.ID, 1)
	require.NoError(t, err)
	record(t, d, []bool{true}, running(t, database, f))
	after, err := d.FiringGet(t.Context(), tenant, f.ID, 1)
	require.NoError(t, err)
	assert.Len(t, after.Attempts, 1)
	after.Attempts = nil
	assert.Equal(t, before, after)
	assert.Equal(t, []string{"action.succeeded"}, eventTypes(t, database, f.ID))
}

// The outcome of a recurring timer's firing stands on the firing.
func TestOutcomeOfARecurringTimer(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	for _, recurring := range []bool{true, false} {
		f := fire(t, d, 1, 1)
		r := running(t, database, f)
		r.Delivery.Recurring, r.Outcome = recurring, failed("gone")
		before := get(t, d, f.ID)
		record(t, d, []bool{true}, r)
		after := get(t, d, f.ID)
		assert.Equal(t, minoots.FiringFailed, after.LastFiring.Status)
		after.LastFiring = before.LastFiring
		assert.Equal(t, recurring, assert.ObjectsAreEqual(before, after))
		assert.Equal(t, recurring, after.Status == minoots.StatusFired)
	}

	// Armed again and waiting for its next time.
	f := fire(t, d, 1, 1)
	r := running(t, database, f)
	r.Delivery.Recurring = true
	_, err := database.Pool.Exec(t.Context(),
		"UPDATE minoots.timer_states SET status = 'scheduled', due_at = now() + interval '1 hour', recurring = true WHERE id = $1", f.ID)
	require.NoError(t, err)
	before := get(t, d, f.ID)
	record(t, d, []bool{true}, r)
	after := get(t, d, f.ID)
	assert.Equal(t, minoots.FiringSettled, after.LastFiring.Status)
	after.LastFiring = before.LastFiring
	assert.Equal(t, before, after)
}

// A firing whose jobs cannot be made fails, and its timer with it, in the fire
// transaction; what is over stays as it is.
func TestFiringFail(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	bad, good := timerAt(past(d), 1, 1), timerAt(past(d), 1, 1)
	create(t, d, bad, good)
	_, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 10}, then(func(tx db.Tx, fired []db.Fired) error {
		for _, f := range fired {
			if f.ID == bad.ID {
				require.NoError(t, db.FiringFail(t.Context(), tx, f.ID, f.Occurrence, f.DueAt, "no job"))
			}
		}
		return nil
	}))
	require.NoError(t, err)
	timer := get(t, d, bad.ID)
	assert.Equal(t, minoots.StatusFailed, timer.Status)
	assert.Equal(t, "no job", *timer.FailureReason)
	assert.Equal(t, minoots.FiringFailed, timer.LastFiring.Status)
	assert.Equal(t, "no job", *timer.LastFiring.Reason)
	assert.Equal(t, []string{"timer.failed"}, eventTypes(t, database, bad.ID))
	assert.Equal(t, minoots.StatusFired, get(t, d, good.ID).Status)

	before := history(t, database, bad.ID)
	require.NoError(t, d.InTx(t.Context(), func(tx db.Tx) error {
		return db.FiringFail(t.Context(), tx, bad.ID, 1, bad.Spec.FireAt.Time, "again")
	}))
	assert.Equal(t, before, history(t, database, bad.ID))
}
