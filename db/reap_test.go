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

// runningBy makes a job that a process is running, with the arguments that a
// worker would give it, and the record of its success.
func runningBy(t *testing.T, database *testdb.DB, f db.Fired, replica string) db.OutcomeRecord {
	t.Helper()
	r := runningAction(t, database, f, 0)
	args, err := json.Marshal(r.Delivery)
	require.NoError(t, err)
	_, err = database.Pool.Exec(t.Context(), "UPDATE river.river_job SET args = $2, attempted_by = ARRAY['earlier', $3] WHERE id = $1",
		r.JobID, args, replica)
	require.NoError(t, err)
	return r
}

// inGeneration moves a job on.
func inGeneration(t *testing.T, database *testdb.DB, job int64, generation int) {
	t.Helper()
	_, err := database.Pool.Exec(t.Context(),
		"UPDATE river.river_job SET args = jsonb_set(args, '{generation}', to_jsonb($2::int)) WHERE id = $1", job, generation)
	require.NoError(t, err)
}

// noMore is a Plan where nothing follows.
func noMore(context.Context, db.Tx, []minoots.Delivery) (*db.JobBatch, error) {
	panic("nothing was to follow")
}

func TestRedispatch(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 2, 1)
	zombie := runningBy(t, database, f, "gone")
	_, err := database.Pool.Exec(t.Context(), "UPDATE river.river_job SET attempt = 5") // its last
	require.NoError(t, err)
	zombie.Attempt = 5
	alive := runningBy(t, database, fire(t, d, 1, 1), "alive")
	older := running(t, database, fire(t, d, 1, 1)) // of a version that does not register

	n, err := d.JobRedispatch(t.Context(), []string{"gone", "unheard of"})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	var id int64
	var delivery minoots.Delivery
	var attempt, most int
	var by []string
	require.NoError(t, database.Pool.QueryRow(t.Context(), `SELECT id, args, attempt, max_attempts, attempted_by FROM river.river_job
		WHERE state = 'available' AND queue = 'webhook' AND kind = 'action' AND scheduled_at <= now()`).Scan(&id, &delivery, &attempt, &most, &by))
	assert.NotEqual(t, zombie.JobID, id, "a new row")
	assert.Equal(t, 4, attempt, "the lost one is not counted")
	assert.Equal(t, 5, most)
	assert.Equal(t, []string{"earlier", "gone"}, by)
	assert.Equal(t, 1, delivery.Generation)
	assert.Equal(t, zombie.Delivery.WebhookID(), delivery.WebhookID())
	delivery.Generation = 0
	assert.Equal(t, zombie.Delivery, &delivery)

	firing, err := d.FiringGet(t.Context(), tenant, f.ID, 1)
	require.NoError(t, err)
	require.Len(t, firing.Attempts, 1)
	lost := firing.Attempts[0]
	assert.Equal(t, minoots.AttemptRetrying, lost.Status)
	assert.Equal(t, db.ClassLost, *lost.ErrorClass)
	assert.Equal(t, "gone", lost.Replica)
	assert.Equal(t, 5, lost.Attempt)
	assert.Equal(t, []string{"action.failed"}, eventTypes(t, database, f.ID))

	// The zombie comes to itself, well or badly.
	before := history(t, database, f.ID)
	retry := zombie
	retry.Final, retry.Outcome = false, failed("busy")
	record(t, d, []bool{false, false}, zombie, retry)
	assert.Equal(t, before, history(t, database, f.ID))
	record(t, d, []bool{true, true}, alive, older)
}

// Only one of any number of reapers has each job, and a recorder that is quicker
// than all of them has it for itself.
func TestRedispatchByManyAtOnce(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	const jobs, late, reapers = 60, 10, 6
	var records []db.OutcomeRecord
	for range jobs {
		records = append(records, runningBy(t, database, fire(t, d, 1, 1), "gone"))
	}
	var again, recorded atomic.Int64
	var g errgroup.Group
	for range reapers {
		mine := connect(t, database.URL)
		g.Go(func() error {
			n, err := mine.JobRedispatch(t.Context(), []string{"gone"})
			again.Add(int64(n))
			return err
		})
	}
	g.Go(func() error { // the last outcomes of one that is not quite gone
		for _, r := range records[:late] {
			live, err := d.OutcomeRecord(t.Context(), "gone", []db.OutcomeRecord{r}, nil)
			if err != nil {
				return err
			}
			if live[0] {
				recorded.Add(1)
			}
		}
		return nil
	})
	require.NoError(t, g.Wait())
	n, err := d.JobRedispatch(t.Context(), []string{"gone"})
	require.NoError(t, err)
	again.Add(int64(n))
	assert.EqualValues(t, jobs, again.Load()+recorded.Load(), "each by one")
	assert.EqualValues(t, again.Load(), count(t, database, "SELECT count(*) FROM river.river_job WHERE state = 'available'"))
	assert.Zero(t, count(t, database, "SELECT count(*) FROM river.river_job WHERE state <> 'available'"))
	assert.Equal(t, jobs, count(t, database, "SELECT count(DISTINCT timer_id) FROM minoots.attempts"))
	assert.Equal(t, jobs, count(t, database, "SELECT count(*) FROM minoots.attempts"), "each attempt once")
}

// Workers are woken, not left to their poll.
func TestRedispatchNotifies(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	conn := direct(t, database.URL)
	_, err := conn.Exec(t.Context(), `LISTEN "river.river_insert"`)
	require.NoError(t, err)
	for range 3 {
		runningBy(t, database, fire(t, d, 1, 1), "gone")
	}
	_, err = d.JobRedispatch(t.Context(), []string{"gone"})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	n, err := conn.WaitForNotification(ctx)
	require.NoError(t, err)
	assert.JSONEq(t, `{"queue": "webhook"}`, n.Payload)
}

// An action that was lost so often is failed as if its receiver had refused it
// for good: what follows in the bundle is run, and the firing ends.
func TestWornActionsFail(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 2, 1)
	first := runningBy(t, database, f, "gone")
	inGeneration(t, database, first.JobID, db.LossesMost-1)
	n, err := d.JobRedispatch(t.Context(), []string{"gone"})
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = d.JobWorn(t.Context(), []string{"alive"}, noMore)
	require.NoError(t, err)
	assert.Zero(t, n)

	follows := ""
	n, err = d.JobWorn(t.Context(), []string{"gone"}, func(_ context.Context, _ db.Tx, next []minoots.Delivery) (*db.JobBatch, error) {
		for _, d := range next {
			assert.Zero(t, d.Generation)
			follows += d.Action.ID
		}
		return nil, nil
	})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Equal(t, "b", follows)
	record(t, d, []bool{false}, first)
	record(t, d, []bool{true}, runningAction(t, database, f, 1))
	timer := get(t, d, f.ID)
	assert.Equal(t, minoots.StatusFailed, timer.Status)
	assert.Contains(t, *timer.FailureReason, "lost")
	assert.Equal(t, []string{"action.dead_lettered", "action.failed", "action.succeeded", "timer.failed"}, eventTypes(t, database, f.ID))
	firing, err := d.FiringGet(t.Context(), tenant, f.ID, 1)
	require.NoError(t, err)
	assert.Equal(t, minoots.FiringFailed, firing.Status)
	assert.Equal(t, db.ClassLost, *firing.Attempts[0].ErrorClass)
	assert.Equal(t, minoots.AttemptFailed, firing.Attempts[0].Status)
	assert.Equal(t, "gone", firing.Attempts[0].Replica)
}

// What River ends by itself, or an operator in its UI, ends the firing.
func TestAbandonedJobsEndTheirFirings(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	for what, change := range map[string]string{
		"discarded by the rescue":      "UPDATE river.river_job SET state = 'discarded', finalized_at = now() WHERE id = $1",
		"cancelled by an operator":     "UPDATE river.river_job SET state = 'cancelled', finalized_at = now() WHERE id = $1",
		"cancelled before it ever ran": "UPDATE river.river_job SET state = 'cancelled', finalized_at = now(), attempt = 0, attempted_at = NULL, attempted_by = NULL WHERE id = $1",
	} {
		f := fire(t, d, 1, 1)
		r := runningBy(t, database, f, "some")
		n, err := d.JobAbandoned(t.Context(), noMore)
		require.NoError(t, err)
		assert.Zero(t, n, "it is running")
		_, err = database.Pool.Exec(t.Context(), change, r.JobID)
		require.NoError(t, err)
		n, err = d.JobAbandoned(t.Context(), noMore)
		require.NoError(t, err)
		assert.Equal(t, 1, n, what)
		timer := get(t, d, f.ID)
		assert.Equal(t, minoots.StatusFailed, timer.Status, what)
		assert.Contains(t, *timer.FailureReason, "ended from outside", what)
		assert.Equal(t, minoots.FiringFailed, timer.LastFiring.Status, what)
		assert.Zero(t, count(t, database, "SELECT count(*) FROM river.river_job"))
	}

	// More of them than one transaction ends.
	const many = 230
	for range many {
		runningBy(t, database, fire(t, d, 1, 1), "some")
	}
	_, err := database.Pool.Exec(t.Context(), "UPDATE river.river_job SET state = 'discarded', finalized_at = now()")
	require.NoError(t, err)
	n, err := d.JobAbandoned(t.Context(), noMore)
	require.NoError(t, err)
	assert.Equal(t, many, n)

	// One that nobody can read, or that is not ours, is left as it is, and holds no
	// other up.
	unreadable := runningAction(t, database, fire(t, d, 1, 1), 0)
	_, err = database.Pool.Exec(t.Context(), "UPDATE river.river_job SET args = '[]'")
	require.NoError(t, err)
	f := fire(t, d, 1, 1)
	runningBy(t, database, f, "some")
	_, err = database.Pool.Exec(t.Context(), "UPDATE river.river_job SET state = 'discarded', finalized_at = now()")
	require.NoError(t, err)
	_, err = d.JobAbandoned(t.Context(), noMore)
	require.NoError(t, err)
	assert.Equal(t, minoots.StatusFailed, get(t, d, f.ID).Status)
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM river.river_job WHERE state = 'discarded' AND id = $1", unreadable.JobID))
}

// The dead are forgotten, but not before their jobs.
func TestReplicaForget(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	_, err := database.Pool.Exec(t.Context(), `INSERT INTO minoots.replicas (replica, mode, lost_at)
		VALUES ('old', 'lock', now() - interval '2 hours'), ('busy', 'lock', now() - interval '2 hours'), ('new', 'lock', now())`)
	require.NoError(t, err)
	r := runningBy(t, database, fire(t, d, 1, 1), "busy")
	n, err := d.ReplicaForget(t.Context(), time.Hour)
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)
	record(t, d, []bool{true}, r)
	n, err = d.ReplicaForget(t.Context(), time.Hour)
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.replicas WHERE replica = 'new'"))
}
