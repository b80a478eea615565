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
	live, err := d.OutcomeRecord(t.Context(), "replica", group, after(func(_ context.Context, _ db.Tx, deliveries []minoots.Delivery) error {
		assert.NotEmpty(t, deliveries)
		for _, n := range deliveries {
			next += n.Action.ID
			want := *group[0].Delivery // all but the action is the same
			want.Action, want.Policy = n.Action, minoots.DefaultRetryPolicy
			assert.Equal(t, want, n)
		}
		return nil
	}))
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
		after(func(_ context.Context, _ db.Tx, next []minoots.Delivery) error {
			assert.Len(t, next, 1)
			assert.Equal(t, "c", next[0].Action.ID)
			go func() { second <- follows(t, two, r) }()
			waitForLock(t, database)
			return nil
		}))
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

// If the next action cannot be enqueued, the outcome did not happen.
func TestOutcomeWithItsNextActionOrNotAtAll(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	f := fire(t, d, 2, 1)
	r := running(t, database, f)
	before := history(t, database, f.ID)
	_, err := d.OutcomeRecord(t.Context(), "replica", []db.OutcomeRecord{r},
		after(func(context.Context, db.Tx, []minoots.Delivery) error { return fmt.Errorf("no room") }))
	require.ErrorContains(t, err, "no room")
	assert.Equal(t, before, history(t, database, f.ID))
	assert.Equal(t, "b", follows(t, d, r), "and can be recorded again")
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
