package db_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// running makes a River job that runs the first action of a firing, and the
// record of its success.
func running(t *testing.T, database *testdb.DB, f db.Fired) db.OutcomeRecord {
	t.Helper()
	return runningAction(t, database, f, 0)
}

func runningAction(t *testing.T, database *testdb.DB, f db.Fired, n int) db.OutcomeRecord {
	t.Helper()
	r := db.OutcomeRecord{Attempt: 1, Final: true, Outcome: succeeded(), Delivery: &minoots.Delivery{
		TenantID: f.TenantID, Timer: minoots.DeliveryTimer{ID: f.ID}, Occurrence: f.Occurrence,
		DueAt: minoots.InstantOf(f.DueAt), FiredAt: minoots.InstantOf(f.FiredAt),
		Action: f.Bundle.Actions[n], Alone: f.Actions == 1,
	}}
	require.NoError(t, database.Pool.QueryRow(t.Context(), `
		INSERT INTO river.river_job (kind, args, max_attempts, queue, state, attempt, attempted_at)
		VALUES ('action', '{}', 5, 'webhook', 'running', 1, now()) RETURNING id`).Scan(&r.JobID))
	return r
}

func succeeded() minoots.Outcome {
	now := time.Now().Truncate(time.Microsecond)
	return minoots.Outcome{Success: true, HTTPStatus: 200, StartedAt: now, FinishedAt: now}
}

func failed(why string) minoots.Outcome {
	o := succeeded()
	o.Success, o.HTTPStatus, o.ErrorClass, o.Error = false, 410, "http_status", why
	return o
}

// record records a group that nothing follows, and expects it to count so.
func record(t *testing.T, d *db.DB, want []bool, group ...db.OutcomeRecord) {
	t.Helper()
	live, err := d.OutcomeRecord(t.Context(), "replica", group, after(func(context.Context, db.Tx, []minoots.Delivery) error {
		return fmt.Errorf("nothing was to follow")
	}))
	require.NoError(t, err)
	assert.Equal(t, want, live)
}

func eventTypes(t *testing.T, database *testdb.DB, id minoots.ID) (types []string) {
	t.Helper()
	require.NoError(t, database.Pool.QueryRow(t.Context(),
		"SELECT array_agg(type ORDER BY xid, type) FROM minoots.events WHERE timer_id = $1 AND type NOT IN ('timer.scheduled', 'timer.fired')", id).
		Scan(&types))
	return types
}

// fire makes a timer and fires it.
func fire(t *testing.T, d *db.DB, actions, concurrency int) db.Fired {
	t.Helper()
	n := timerAt(d.Clock().Now().Add(-time.Second), actions, concurrency)
	create(t, d, n)
	for _, f := range claim(t, d, db.ClaimRequest{Limit: 100}) {
		if f.ID == n.ID {
			return f
		}
	}
	require.Fail(t, "not claimed")
	return db.Fired{}
}

func TestOutcomeOfTheOnlyAction(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 1, 1)
	r := running(t, database, f)
	r.Outcome.Response = []byte("thanks")
	assert.Equal(t, minoots.StatusFired, get(t, d, f.ID).Status, "not before its outcome")

	record(t, d, []bool{true}, r)
	timer := get(t, d, f.ID)
	assert.Equal(t, minoots.StatusSettled, timer.Status)
	assert.NotNil(t, timer.SettledAt)
	assert.Nil(t, timer.FailureReason)
	firing, err := d.FiringGet(t.Context(), tenant, f.ID, 1)
	require.NoError(t, err)
	assert.Equal(t, minoots.FiringSettled, firing.Status)
	assert.NotNil(t, firing.SettledAt)
	require.Len(t, firing.Attempts, 1)
	a := firing.Attempts[0]
	assert.Equal(t, minoots.AttemptSucceeded, a.Status)
	assert.Equal(t, "replica", a.Replica)
	assert.Equal(t, 200, *a.HTTPStatus)
	assert.Equal(t, "thanks", *a.Response)
	assert.True(t, r.Outcome.StartedAt.Equal(a.StartedAt.Time))
	assert.Equal(t, []string{"action.succeeded", "timer.settled"}, eventTypes(t, database, f.ID))
	assert.Zero(t, count(t, database, "SELECT count(*) FROM river.river_job"), "done")
}

func TestOutcomeFailure(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	alone := fire(t, d, 1, 1)
	r := running(t, database, alone)
	r.Outcome = failed("gone")
	record(t, d, []bool{true}, r)
	timer := get(t, d, alone.ID)
	assert.Equal(t, minoots.StatusFailed, timer.Status)
	assert.Equal(t, "a: gone", *timer.FailureReason)
	assert.Equal(t, minoots.FiringFailed, timer.LastFiring.Status)
	assert.Equal(t, "a: gone", *timer.LastFiring.Reason)
	assert.Equal(t, []string{"action.dead_lettered", "action.failed", "timer.failed"}, eventTypes(t, database, alone.ID))
	assert.Zero(t, count(t, database, "SELECT count(*) FROM river.river_job"), "done")

	// In a bundle the others have their turn all the same, and the first reason stands.
	f := fire(t, d, 3, 1)
	for i, want := range []string{"b", "c", ""} {
		r := runningAction(t, database, f, i)
		if i < 2 {
			r.Outcome = failed(fmt.Sprint("reason ", i))
		}
		assert.Equal(t, want, follows(t, d, r))
	}
	timer = get(t, d, f.ID)
	assert.Equal(t, minoots.StatusFailed, timer.Status)
	assert.Equal(t, "a: reason 0", *timer.FailureReason)
	assert.Equal(t, 2, timer.LastFiring.Failed)
}

// A failed attempt with another to come leaves the job to River.
func TestOutcomeOfARetry(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 1, 1)
	r := running(t, database, f)
	r.Final, r.Outcome = false, failed("busy")
	record(t, d, []bool{true}, r)
	assert.Equal(t, minoots.StatusFired, get(t, d, f.ID).Status)
	firing, err := d.FiringGet(t.Context(), tenant, f.ID, 1)
	require.NoError(t, err)
	assert.Equal(t, minoots.FiringRunning, firing.Status)
	assert.Zero(t, firing.Failed)
	require.Len(t, firing.Attempts, 1)
	assert.Equal(t, minoots.AttemptRetrying, firing.Attempts[0].Status)
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM river.river_job WHERE state = 'running'"))

	before := history(t, database, f.ID)
	record(t, d, []bool{true}, r)
	assert.Equal(t, before, history(t, database, f.ID), "told twice, noted once")
}
