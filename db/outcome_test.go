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
	live, err := d.OutcomeRecord(t.Context(), "replica", group, func(context.Context, db.Tx, []minoots.Delivery) error {
		return fmt.Errorf("nothing was to follow")
	})
	require.NoError(t, err)
	assert.Equal(t, want, live)
}

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

// What runs at the start is the kernel's to enqueue; each outcome then brings the
// next action, until all have had their turn, and the last one settles the firing.
func TestOutcomesOfABundle(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	for concurrency, want := range map[int][]string{
		1: {"b", "c", "d", ""},
		2: {"c", "d", "", ""},
		3: {"d", "", "", ""},
		4: {"", "", "", ""},
		9: {"", "", "", ""},
	} {
		f := fire(t, d, 4, concurrency)
		for i, want := range want {
			require.Equal(t, minoots.StatusFired, get(t, d, f.ID).Status, "%d at once, after %d", concurrency, i)
			r := runningAction(t, database, f, i)
			assert.Equal(t, want, follows(t, d, r), "%d at once, after action %d", concurrency, i)
		}
		timer := get(t, d, f.ID)
		assert.Equal(t, minoots.StatusSettled, timer.Status)
		assert.Equal(t, []string{"action.succeeded", "action.succeeded", "action.succeeded", "action.succeeded", "timer.settled"},
			eventTypes(t, database, f.ID))
	}
}

// follows records a group and gives the actions that were enqueued after it.
func follows(t *testing.T, d *db.DB, group ...db.OutcomeRecord) string {
	t.Helper()
	next := ""
	live, err := d.OutcomeRecord(t.Context(), "replica", group, func(_ context.Context, _ db.Tx, deliveries []minoots.Delivery) error {
		assert.NotEmpty(t, deliveries)
		for _, n := range deliveries {
			next += n.Action.ID
			want := *group[0].Delivery // all but the action is the same
			want.Action, want.Policy = n.Action, minoots.DefaultRetryPolicy
			assert.Equal(t, want, n)
		}
		return nil
	})
	require.NoError(t, err)
	assert.NotContains(t, live, false)
	return next
}

func TestOutcomesOfOneFiringInOneGroup(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 5, 2)
	assert.Equal(t, "cd", follows(t, d, runningAction(t, database, f, 1), runningAction(t, database, f, 0)), "in order")
	assert.Equal(t, "e", follows(t, d, runningAction(t, database, f, 2), runningAction(t, database, f, 3)))
	assert.Equal(t, minoots.StatusFired, get(t, d, f.ID).Status)
	assert.Empty(t, follows(t, d, runningAction(t, database, f, 4)))
	assert.Equal(t, minoots.StatusSettled, get(t, d, f.ID).Status)

	// All at once, beside the outcome of another timer.
	f, other := fire(t, d, 2, 2), fire(t, d, 1, 1)
	assert.Empty(t, follows(t, d, runningAction(t, database, f, 0), running(t, database, other), runningAction(t, database, f, 1)))
	for _, id := range []minoots.ID{f.ID, other.ID} {
		assert.Equal(t, minoots.StatusSettled, get(t, d, id).Status)
	}
}

// Two replicas record outcomes of one firing: the second waits for the first,
// counts on from it, and nothing is started twice or left out.
func TestOutcomesOfOneFiringInTwoGroups(t *testing.T) {
	t.Parallel()
	database, one := setup(t)
	two := connect(t, database.URL)
	f := fire(t, one, 4, 2)
	second := make(chan string, 1)
	r := runningAction(t, database, f, 1)
	_, err := one.OutcomeRecord(t.Context(), "one", []db.OutcomeRecord{runningAction(t, database, f, 0)},
		func(_ context.Context, _ db.Tx, next []minoots.Delivery) error {
			assert.Len(t, next, 1)
			assert.Equal(t, "c", next[0].Action.ID)
			go func() { second <- follows(t, two, r) }()
			waitForLock(t, database)
			return nil
		})
	require.NoError(t, err)
	assert.Equal(t, "d", <-second)

	// The last two, in any order: one of them settles the firing.
	go func() { second <- follows(t, two, runningAction(t, database, f, 2)) }()
	assert.Empty(t, follows(t, one, runningAction(t, database, f, 3)))
	assert.Empty(t, <-second)
	assert.Equal(t, minoots.StatusSettled, get(t, one, f.ID).Status)
	types := eventTypes(t, database, f.ID)
	assert.Len(t, types, 5)
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.settled'"))
}

// waitForLock returns when a statement waits for a row that another one holds.
func waitForLock(t *testing.T, database *testdb.DB) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waiting bool
		err := database.Pool.QueryRow(t.Context(), `
			SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting)
		return err == nil && waiting
	}, 10*time.Second, time.Millisecond)
}

// Two groups with the firings of the same two timers, named in opposite order,
// do not deadlock.
func TestOutcomesOfTwoFiringsInTwoGroups(t *testing.T) {
	t.Parallel()
	database, one := setup(t)
	two := connect(t, database.URL)
	for range 20 {
		a, b := fire(t, one, 2, 2), fire(t, one, 2, 2)
		groups := [2][]db.OutcomeRecord{
			{runningAction(t, database, a, 0), runningAction(t, database, b, 0)},
			{runningAction(t, database, b, 1), runningAction(t, database, a, 1)},
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			follows(t, two, groups[1]...)
		}()
		follows(t, one, groups[0]...)
		<-done
		assert.Equal(t, minoots.StatusSettled, get(t, one, a.ID).Status)
		assert.Equal(t, minoots.StatusSettled, get(t, one, b.ID).Status)
	}
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
	assert.Equal(t, []string{"action.failed", "timer.failed"}, eventTypes(t, database, alone.ID))
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
		func(_ context.Context, _ db.Tx, deliveries []minoots.Delivery) error {
			for _, n := range deliveries {
				next += n.Action.ID
			}
			return nil
		})
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

// If the next action cannot be enqueued, the outcome did not happen.
func TestOutcomeWithItsNextActionOrNotAtAll(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 2, 1)
	r := running(t, database, f)
	before := history(t, database, f.ID)
	_, err := d.OutcomeRecord(t.Context(), "replica", []db.OutcomeRecord{r},
		func(context.Context, db.Tx, []minoots.Delivery) error { return fmt.Errorf("no room") })
	require.ErrorContains(t, err, "no room")
	assert.Equal(t, before, history(t, database, f.ID))
	assert.Equal(t, "b", follows(t, d, r), "and can be recorded again")
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

// A bundle that was stored without its defaults runs in order, as the kernel starts it.
func TestOutcomesOfABundleWithoutDefaults(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := timerAt(past(d), 2, 1)
	n.Spec.ActionBundle.Concurrency = 0
	create(t, d, n)
	f := claim(t, d, db.ClaimRequest{Limit: 1})[0]
	assert.Equal(t, "b", follows(t, d, runningAction(t, database, f, 0)))
}

// A firing whose jobs cannot be made fails, and its timer with it, in the fire
// transaction; what is over stays as it is.
func TestFiringFail(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	bad, good := timerAt(past(d), 1, 1), timerAt(past(d), 1, 1)
	create(t, d, bad, good)
	_, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 10}, func(tx db.Tx, fired []db.Fired) error {
		for _, f := range fired {
			err := db.InSavepoint(t.Context(), tx, func(tx db.Tx) error {
				_, err := tx.Exec(t.Context(), "SELECT 1 / $1::int", map[bool]int{f.ID == good.ID: 1}[true])
				return err
			})
			assert.Equal(t, f.ID == bad.ID, err != nil)
			if err != nil {
				require.NoError(t, db.FiringFail(t.Context(), tx, f.ID, f.Occurrence, f.DueAt, "no job"))
			}
		}
		return nil
	})
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
