package db_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

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

func TestAcknowledgementExpires(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	_, expired, err := d.ReplicaLost(t.Context(), 0)
	require.NoError(t, err)
	assert.False(t, expired)
	const many = 450 // three transactions
	tokens := make([]string, many)
	for i := range many {
		a := askFor(t, database, d, fire(t, d, 1, 1), time.Minute)
		a.park(t, d, true)
		tokens[i] = a.token
	}
	_, err = database.Pool.Exec(t.Context(), "DELETE FROM river.river_job WHERE id = (SELECT min(id) FROM river.river_job)")
	require.NoError(t, err, "an operator has removed one")
	runOut(t, database)
	_, err = acknowledge(t, d, tokens[0], yes)
	require.ErrorIs(t, err, db.ErrExpired, "late, though nobody has noticed yet")
	_, err = d.AcknowledgementExtend(t.Context(), tokens[0], time.Hour, "")
	require.ErrorIs(t, err, db.ErrExpired)
	_, expired, err = d.ReplicaLost(t.Context(), 0)
	require.NoError(t, err)
	assert.True(t, expired)

	var all atomic.Int64
	var g errgroup.Group
	for range 4 { // kernels
		mine := connect(t, database.URL)
		g.Go(func() error {
			n, err := mine.AcknowledgementExpire(t.Context(), twice, queued)
			all.Add(int64(n))
			return err
		})
	}
	require.NoError(t, g.Wait())
	all.Add(int64(expire(t, d)))
	assert.EqualValues(t, many, all.Load(), "each by one")
	assert.Equal(t, many-1, count(t, database, "SELECT count(*) FROM minoots.attempts WHERE status = 'retrying' AND error_class = 'ack_timeout' AND replica = 'one'"))
	assert.Equal(t, many-1, count(t, database, jobsInState, "retryable"))
	_, expired, err = d.ReplicaLost(t.Context(), 0)
	require.NoError(t, err)
	assert.False(t, expired)
	_, err = acknowledge(t, d, tokens[1], yes)
	require.ErrorIs(t, err, db.ErrExpired)

	forgotten, err := d.AcknowledgementForget(t.Context())
	require.NoError(t, err)
	assert.Zero(t, forgotten, "an agent that repeats itself is to hear why")
	_, err = database.Pool.Exec(t.Context(), "UPDATE minoots.acknowledgements SET expires_at = now() - interval '25 hours'")
	require.NoError(t, err)
	forgotten, err = d.AcknowledgementForget(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, many, forgotten)
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

// Whatever makes a delivery begin again makes the old token worthless.
func TestAcknowledgementOfAnAttemptThatIsOver(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	// The process died between row and send, or between send and park.
	a := askFor(t, database, d, fire(t, d, 1, 1), time.Minute)
	n, err := d.JobRedispatch(t.Context(), []string{"one"})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	a.park(t, d, false)
	_, err = acknowledge(t, d, a.token, yes)
	require.ErrorIs(t, err, db.ErrExpired)
	assert.Equal(t, 1, count(t, database, jobsInState, "available"))

	// The send failed, and the next attempt is under way.
	b := askFor(t, database, d, fire(t, d, 1, 1), time.Minute)
	failed := b.OutcomeRecord
	failed.Final, failed.Outcome, failed.RetryAt = false, db.OutcomeRecord{}.Outcome, time.Now()
	failed.Outcome.ErrorClass, failed.Outcome.StartedAt, failed.Outcome.FinishedAt = "timeout", time.Now(), time.Now()
	record(t, d, []bool{true}, failed)
	_, err = acknowledge(t, d, b.token, yes)
	require.ErrorIs(t, err, db.ErrExpired)
	_, err = database.Pool.Exec(t.Context(), "UPDATE river.river_job SET state = 'running', attempt = 2 WHERE id = $1", b.JobID)
	require.NoError(t, err)
	_, err = acknowledge(t, d, b.token, yes)
	require.ErrorIs(t, err, db.ErrExpired)
	_, err = d.AcknowledgementOpen(t.Context(), db.AcknowledgementOpen{
		Token: minoots.NewAcknowledgementToken(), JobID: b.JobID, Attempt: 1, Delivery: b.Delivery, Replica: "one", Timeout: time.Minute,
	})
	assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err), "a zombie does not send")
}

// Acknowledgements, the park, expiry and a reaper all at once, from many
// replicas: one of them has each attempt, and nothing is left over.
func TestAcknowledgementRaces(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	const rounds = 60
	replicas := []*db.DB{connect(t, database.URL), connect(t, database.URL), connect(t, database.URL)}
	for round := range rounds {
		f := fire(t, d, 1, 1)
		a := askFor(t, database, d, f, time.Minute)
		parkedFirst := round%2 == 0
		if parkedFirst {
			a.park(t, d, true)
		}
		if round%4 == 0 {
			runOut(t, database)
		}
		var won, lost, expired atomic.Int64
		var g errgroup.Group
		for _, replica := range replicas {
			g.Go(func() error {
				_, err := replica.AcknowledgementRecord(t.Context(), a.token, yes, twice, queued)
				switch minoots.ErrorCode(err) {
				case "":
					won.Add(1)
				case minoots.CodeConflict:
					lost.Add(1)
				default:
					return err
				}
				return nil
			})
			g.Go(func() error {
				n, err := replica.AcknowledgementExpire(t.Context(), twice, queued)
				expired.Add(int64(n))
				return err
			})
		}
		var redispatched atomic.Int64
		g.Go(func() error {
			sent := succeeded()
			_, err := d.AcknowledgementPark(t.Context(), tenant, a.token, &sent)
			return err
		})
		if round%3 == 0 {
			g.Go(func() error {
				n, err := replicas[0].JobRedispatch(t.Context(), []string{"one"})
				redispatched.Add(int64(n))
				return err
			})
		}
		require.NoError(t, g.Wait())
		expired.Add(int64(expire(t, d))) // a row that was locked is looked at again
		winners := won.Load() + expired.Load() + redispatched.Load()
		assert.EqualValues(t, 1, winners, "round %d: %d acknowledged, %d expired, %d dispatched again", round, won.Load(), expired.Load(), redispatched.Load())
		assert.EqualValues(t, len(replicas), won.Load()+lost.Load())
		if won.Load() == 1 {
			assert.Equal(t, minoots.StatusSettled, get(t, d, f.ID).Status)
		} else {
			assert.Equal(t, 1, count(t, database, `SELECT count(*) FROM river.river_job WHERE args #>> '{timer,id}' = $1::text
				AND state IN ('retryable', 'available')`, f.ID.String()))
		}
		assert.Zero(t, count(t, database, "SELECT count(*) FROM river.river_job WHERE state IN ('running', 'pending')"))
		assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.attempts WHERE timer_id = $1", f.ID))
	}
}

// An agent that does not hear whether it was heard asks again.
func TestAcknowledgementWhoseCommitIsCut(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 2, 1)
	a := askFor(t, database, d, f, time.Minute)
	a.park(t, d, true)
	before := history(t, database, f.ID)
	_, err := d.AcknowledgementRecord(t.Context(), a.token, yes, twice, func(ctx context.Context, tx db.Tx, next []minoots.Delivery) (*db.JobBatch, error) {
		_, err := database.Pool.Exec(ctx, "SELECT pg_terminate_backend($1, 5000)", tx.Conn().PgConn().PID())
		assert.NoError(t, err)
		return queued(ctx, tx, next)
	})
	assert.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err))
	assert.Equal(t, before, history(t, database, f.ID), "all or nothing")
	require.Eventually(t, func() bool {
		_, err = acknowledge(t, d, a.token, yes)
		return minoots.ErrorCode(err) != minoots.CodeUnavailable // the pool's dead connection is used up
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, err)
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM river.river_job WHERE state = 'available' AND args #>> '{action,id}' = 'b'"))
}
