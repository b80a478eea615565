package db_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// asked is an attempt that a replica is making, and has asked to be acknowledged.
type asked struct {
	db.OutcomeRecord
	token string
}

func askFor(t *testing.T, database *testdb.DB, d *db.DB, f db.Fired, timeout time.Duration) asked {
	t.Helper()
	a := asked{runningBy(t, database, f, "one"), minoots.NewAcknowledgementToken()}
	expires, err := d.AcknowledgementOpen(t.Context(), db.AcknowledgementOpen{
		Token: a.token, JobID: a.JobID, Attempt: 1, Delivery: a.Delivery, Replica: "one", Timeout: timeout,
	})
	require.NoError(t, err)
	assert.WithinDuration(t, d.Clock().Now().Add(timeout), expires, 5*time.Second)
	return a
}

func (a asked) park(t *testing.T, d *db.DB, want bool) {
	t.Helper()
	sent := succeeded()
	sent.HTTPStatus, sent.Response = 202, []byte("taken on")
	parked, err := d.AcknowledgementPark(t.Context(), tenant, a.token, &sent)
	require.NoError(t, err)
	assert.Equal(t, want, parked)
}

// twice is a policy of two attempts, an hour apart.
func twice(_ *minoots.Delivery, attempt int, out *minoots.Outcome) (bool, time.Duration) {
	return out.Success || !out.Retryable || attempt >= 2, time.Hour
}

// queued makes jobs of what follows, in the queues.
func queued(_ context.Context, _ db.Tx, next []minoots.Delivery) (*db.JobBatch, error) {
	jobs := &db.JobBatch{}
	for i := range next {
		args, err := json.Marshal(&next[i])
		if err != nil {
			return nil, err
		}
		jobs.Jobs = append(jobs.Jobs, db.Job{Queue: "webhook", MaxAttempts: 2, Args: args})
	}
	return jobs, nil
}

var yes = db.AcknowledgementGiven{Status: minoots.AcknowledgementSucceeded, Result: json.RawMessage(`{"pages":12}`)}

func no(retry bool) db.AcknowledgementGiven {
	return db.AcknowledgementGiven{Status: minoots.AcknowledgementFailed, Error: "the page is gone", Retry: retry}
}

func acknowledge(t *testing.T, d *db.DB, token string, given db.AcknowledgementGiven) (minoots.AcknowledgementReceipt, error) {
	t.Helper()
	return d.AcknowledgementRecord(t.Context(), token, given, twice, queued)
}

// runOut lets the time of a waiting acknowledgement be over.
func runOut(t *testing.T, database *testdb.DB) {
	t.Helper()
	_, err := database.Pool.Exec(t.Context(), "UPDATE minoots.acknowledgements SET expires_at = now() - interval '1 second' WHERE status = 'waiting'")
	require.NoError(t, err)
}

func expire(t *testing.T, d *db.DB) int {
	t.Helper()
	n, err := d.AcknowledgementExpire(t.Context(), twice, queued)
	require.NoError(t, err)
	return n
}

const jobsInState = "SELECT count(*) FROM river.river_job WHERE state::text = $1"

func TestAcknowledgementOfAParkedDelivery(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 2, 1)
	a := askFor(t, database, d, f, time.Minute)
	a.park(t, d, true)
	assert.Equal(t, 1, count(t, database, jobsInState, "pending"))
	assert.Zero(t, count(t, database, jobsInState, "running"), "no worker has it")
	assert.Zero(t, count(t, database, "SELECT count(*) FROM river.river_job WHERE id = $1", a.JobID), "what River writes of the old row finds none")
	a.park(t, d, false) // a commit whose answer was lost
	n, err := d.JobRedispatch(t.Context(), []string{"one"})
	require.NoError(t, err)
	assert.Zero(t, n, "the process that sent it may die")
	assert.Zero(t, expire(t, d), "there is time")

	firing, err := d.FiringGet(t.Context(), tenant, f.ID, 1)
	require.NoError(t, err)
	require.Len(t, firing.Awaited, 1)
	assert.Equal(t, "a", firing.Awaited[0].ActionID)
	assert.Empty(t, firing.Attempts)

	receipt, err := acknowledge(t, d, a.token, yes)
	require.NoError(t, err)
	assert.Equal(t, minoots.AcknowledgementReceipt{
		TimerID: f.ID, Occurrence: 1, ActionID: "a", Attempt: 1, Status: minoots.AcknowledgementSucceeded, AcknowledgedAt: receipt.AcknowledgedAt,
	}, receipt)
	firing, err = d.FiringGet(t.Context(), tenant, f.ID, 1)
	require.NoError(t, err)
	assert.Empty(t, firing.Awaited)
	require.Len(t, firing.Attempts, 1)
	attempt := firing.Attempts[0]
	assert.Equal(t, minoots.AttemptSucceeded, attempt.Status)
	assert.Equal(t, "one", attempt.Replica, "who sent it")
	assert.Equal(t, 202, *attempt.HTTPStatus)
	assert.JSONEq(t, `{"pages":12}`, *attempt.Response)
	assert.Equal(t, receipt.AcknowledgedAt, attempt.FinishedAt)
	assert.Equal(t, []string{"action.acknowledged", "action.succeeded"}, eventTypes(t, database, f.ID))
	assert.Equal(t, 1, count(t, database, `SELECT count(*) FROM minoots.events WHERE type = 'action.acknowledged'
		AND data ->> 'actionId' = 'a' AND (data ->> 'ok')::boolean AND data #>> '{result,pages}' = '12'`))
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM river.river_job WHERE state = 'available' AND args #>> '{action,id}' = 'b'"),
		"the next action of the bundle")

	_, err = acknowledge(t, d, a.token, no(true))
	require.ErrorIs(t, err, db.ErrAcknowledged)
	assert.Contains(t, err.Error(), "as succeeded, at "+receipt.AcknowledgedAt.String())
	_, err = d.AcknowledgementExtend(t.Context(), a.token, 0, "still at it")
	require.ErrorIs(t, err, db.ErrAcknowledged)
	_, err = acknowledge(t, d, minoots.NewAcknowledgementToken(), yes)
	assert.Equal(t, minoots.CodeNotFound, minoots.ErrorCode(err))
}

func TestAcknowledgementOfFailure(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	for _, retry := range []bool{true, false} {
		f := fire(t, d, 1, 1)
		a := askFor(t, database, d, f, time.Minute)
		a.park(t, d, true)
		_, err := acknowledge(t, d, a.token, no(retry))
		require.NoError(t, err)
		firing, err := d.FiringGet(t.Context(), tenant, f.ID, 1)
		require.NoError(t, err)
		require.Len(t, firing.Attempts, 1)
		assert.Equal(t, db.ClassAgentFailed, *firing.Attempts[0].ErrorClass)
		assert.Equal(t, "the page is gone", *firing.Attempts[0].Error)
		if retry {
			assert.Equal(t, minoots.FiringRunning, firing.Status)
			assert.Equal(t, 1, count(t, database, `SELECT count(*) FROM river.river_job WHERE state = 'retryable'
				AND attempt = 1 AND scheduled_at BETWEEN now() + interval '59 minutes' AND now() + interval '61 minutes'`))
		} else {
			assert.Equal(t, minoots.FiringFailed, firing.Status)
			assert.Equal(t, minoots.StatusFailed, get(t, d, f.ID).Status)
		}
	}
}

// An agent may answer before its receiver does.
func TestAcknowledgementWhileItIsSent(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	for _, given := range []db.AcknowledgementGiven{yes, no(true), no(false)} {
		f := fire(t, d, 1, 1)
		a := askFor(t, database, d, f, time.Minute)
		_, err := acknowledge(t, d, a.token, given)
		require.NoError(t, err)
		before := history(t, database, f.ID)
		// Then the send returns, well or badly; and River writes of the job what it likes.
		a.park(t, d, false)
		retry := a.OutcomeRecord
		retry.Final, retry.Outcome = false, failed("busy")
		record(t, d, []bool{false, false}, a.OutcomeRecord, retry)
		assert.Zero(t, count(t, database, "SELECT count(*) FROM river.river_job WHERE id = $1", a.JobID))
		assert.Equal(t, before, history(t, database, f.ID))
	}
}

func TestAcknowledgementHeartbeat(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 1, 1)
	a := askFor(t, database, d, f, time.Minute)
	beat := func(by time.Duration, progress string) minoots.Heartbeat {
		t.Helper()
		h, err := d.AcknowledgementExtend(t.Context(), a.token, by, progress)
		require.NoError(t, err)
		return h
	}
	first := beat(10*time.Minute, "page 1") // while it is sent
	assert.WithinDuration(t, d.Clock().Now().Add(10*time.Minute), first.ExpiresAt.Time, 5*time.Second)
	a.park(t, d, true)
	assert.Equal(t, first.ExpiresAt, beat(time.Second, "page 2").ExpiresAt, "it never takes time away")
	latest := beat(7*24*time.Hour, "")
	assert.Equal(t, latest.LatestAt, latest.ExpiresAt)
	assert.WithinDuration(t, d.Clock().Now().Add(db.AcknowledgementMost), latest.ExpiresAt.Time, 5*time.Second)
	firing, err := d.FiringGet(t.Context(), tenant, f.ID, 1)
	require.NoError(t, err)
	require.Len(t, firing.Awaited, 1)
	assert.Equal(t, "page 2", *firing.Awaited[0].Progress)
	assert.Equal(t, latest.ExpiresAt, firing.Awaited[0].ExpiresAt)
	assert.NotNil(t, firing.Awaited[0].HeartbeatAt)
}
