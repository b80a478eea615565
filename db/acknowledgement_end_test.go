package db_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

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
