package db_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const host = "https://a.example"

func opening(replica string) db.Opening {
	return db.Opening{
		Tenant: tenant, Destination: host, Failures: 5, Reason: "refused: nobody there", Replica: replica,
		WaitLeast: time.Second, WaitMost: 4 * time.Second,
	}
}

// Of replicas that open a breaker at once one does, and the wait doubles with each
// probe that fails.
func TestDestinationOpen(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	var mu sync.Mutex
	var wg sync.WaitGroup
	opened := 0
	for i := range 8 {
		wg.Go(func() {
			opens, _, err := d.DestinationOpen(t.Context(), opening(fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			assert.NoError(t, err)
			if opens > 0 {
				opened++
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 1, opened)
	for i, want := range []float64{2, 4, 4} {
		_, err := database.Pool.Exec(t.Context(), "UPDATE minoots.destinations SET state = 'half_open'")
		require.NoError(t, err)
		opens, probeIn, err := d.DestinationOpen(t.Context(), opening("r"))
		require.NoError(t, err)
		assert.Equal(t, i+2, opens)
		assert.InDelta(t, want, probeIn.Seconds(), want*0.2+0.01)
	}
	got, err := d.DestinationGet(t.Context(), tenant, host)
	require.NoError(t, err)
	assert.Equal(t, 20, got.Failures)
}

// Any number of replicas at once take no more than the limit allows.
func TestDestinationTakeTogether(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	queue := db.HeldQueue(tenant, host)
	limit := 7
	require.NoError(t, d.DestinationLimit(t.Context(), tenant, host, minoots.DestinationLimits{MaxConcurrent: &limit}))
	_, err := database.Pool.Exec(t.Context(), `INSERT INTO river.river_job (kind, args, max_attempts, queue, state)
		SELECT 'action', '{}', 5, $1, 'available' FROM generate_series(1, 500)`, queue)
	require.NoError(t, err)
	done := make(chan struct{})
	var wg, watcher sync.WaitGroup
	watcher.Go(func() { // it sees no more at any moment
		for {
			select {
			case <-done:
				return
			default:
			}
			var n int
			if assert.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT count(*) FROM river.river_job WHERE state = 'running'").Scan(&n)) {
				assert.LessOrEqual(t, n, limit)
			}
		}
	})
	for i := range 4 {
		wg.Go(func() {
			for range 40 {
				taken, err := d.DestinationTake(t.Context(), fmt.Sprint("r", i), queue, 5, time.Minute)
				if !assert.NoError(t, err) {
					return
				}
				for _, job := range taken.Jobs { // it ends
					_, err := database.Pool.Exec(t.Context(), "DELETE FROM river.river_job WHERE id = $1", job.ID)
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
	close(done)
	watcher.Wait()
	var left int
	require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT count(*) FROM river.river_job").Scan(&left))
	assert.Less(t, left, 450, "and they do take some")
}

// The rate holds whatever is asked for, and what was not used does not gather.
func TestDestinationTakeRate(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	queue := db.HeldQueue(tenant, host)
	rate := 100.0
	require.NoError(t, d.DestinationLimit(t.Context(), tenant, host, minoots.DestinationLimits{RatePerSecond: &rate}))
	_, err := database.Pool.Exec(t.Context(), `INSERT INTO river.river_job (kind, args, max_attempts, queue, state)
		SELECT 'action', '{}', 5, $1, 'available' FROM generate_series(1, 5000)`, queue)
	require.NoError(t, err)
	began, taken := time.Now(), 0
	var last db.Taken
	for time.Since(began) < time.Second {
		last, err = d.DestinationTake(t.Context(), "r", queue, 1000, time.Minute)
		require.NoError(t, err)
		taken += len(last.Jobs)
	}
	assert.LessOrEqual(t, float64(taken), rate*(time.Since(began).Seconds()+0.1)+1)
	assert.Greater(t, float64(taken), rate*0.5)
	assert.Positive(t, last.TokenIn)
}

// A job that is put back is as if the attempt had not begun, and one that is not
// this replica's, or has another attempt by now, is left alone.
func TestJobHold(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	_, err := database.Pool.Exec(t.Context(), `INSERT INTO river.river_job (id, kind, args, max_attempts, queue, state, attempt, attempted_by, attempted_at)
		VALUES (101, 'action', '{"a": 1}', 5, 'webhook', 'running', 3, '{x,me}', now()),
			(102, 'action', '{}', 5, 'webhook', 'running', 1, '{other}', now()),
			(103, 'action', '{}', 5, 'webhook', 'running', 2, '{me}', now()),
			(104, 'action', '{}', 5, 'webhook', 'available', 1, '{me}', now())`)
	require.NoError(t, err)
	hold := []db.HeldJob{{101, 3, "held-1-x"}, {102, 1, "held-1-x"}, {103, 1, "held-1-x"}, {104, 1, "held-1-x"}}
	for _, want := range []int{1, 0} { // and twice is harmless
		n, err := d.JobHold(t.Context(), "me", hold)
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
	var state, args, by string
	var attempt int
	var id int64
	require.NoError(t, database.Pool.QueryRow(t.Context(), `SELECT id, state::text, args::text, attempt, array_to_string(attempted_by, ',')
		FROM river.river_job WHERE queue = 'held-1-x'`).Scan(&id, &state, &args, &attempt, &by))
	assert.NotEqual(t, int64(101), id, "a new row: River may still write to the old one")
	assert.Equal(t, []any{"available", `{"a": 1}`, 2, "x"}, []any{state, args, attempt, by})
}

// A destination is forgotten when nothing waits for it, but for its limits.
func TestDestinationClose(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	exec := func(sql string) {
		t.Helper()
		_, err := database.Pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	closed := func() bool {
		t.Helper()
		done, err := d.DestinationClose(t.Context(), tenant, host)
		require.NoError(t, err)
		return done
	}
	_, _, err := d.DestinationOpen(t.Context(), opening("r"))
	require.NoError(t, err)
	assert.False(t, closed(), "it is open")
	was, err := d.DestinationRecover(t.Context(), tenant, host)
	require.NoError(t, err)
	assert.True(t, was)
	exec(`INSERT INTO river.river_job (kind, args, max_attempts, queue, state) SELECT 'action', '{"action": {"kind": "webhook"}}', 5, queue, 'available' FROM minoots.destinations`)
	assert.False(t, closed(), "something waits")
	released, err := d.DestinationRelease(t.Context(), db.HeldQueue(tenant, host), 10)
	require.NoError(t, err)
	assert.Zero(t, released, "and is not to be let go")
	exec("UPDATE minoots.destinations SET slow_start = 512")
	assert.True(t, closed(), "it bears much")
	released, err = d.DestinationRelease(t.Context(), db.HeldQueue(tenant, host), 10)
	require.NoError(t, err)
	assert.Equal(t, 1, released)
	var lane string
	require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT queue FROM river.river_job").Scan(&lane))
	assert.Equal(t, fmt.Sprintf("webhook-%d", db.LaneNumber(tenant, host)), lane)

	// One that nobody uses is forgotten though it failed last.
	_, _, err = d.DestinationOpen(t.Context(), opening("r"))
	require.NoError(t, err)
	exec("UPDATE minoots.destinations SET probe_at = now() - interval '11 minutes'")
	limit := 1
	require.NoError(t, d.DestinationLimit(t.Context(), tenant, host, minoots.DestinationLimits{MaxConcurrent: &limit}))
	assert.True(t, closed())
	got, err := d.DestinationGet(t.Context(), tenant, host)
	require.NoError(t, err)
	assert.Equal(t, minoots.BreakerClosed, got.State)
	assert.Nil(t, got.Reason)
	require.NoError(t, d.DestinationLimit(t.Context(), tenant, host, minoots.DestinationLimits{}))
	_, err = d.DestinationGet(t.Context(), tenant, host)
	assert.Equal(t, minoots.CodeNotFound, minoots.ErrorCode(err))
}
