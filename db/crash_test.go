package db_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// untouched checks that a timer was never fired, as far as anyone can see.
func untouched(t *testing.T, database *testdb.DB, d *db.DB, id minoots.ID) {
	t.Helper()
	timer := get(t, d, id)
	assert.Equal(t, minoots.StatusScheduled, timer.Status)
	assert.Zero(t, timer.Occurrence)
	assert.EqualValues(t, 1, timer.Version)
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.firings WHERE timer_id = $1", id))
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.fired' AND timer_id = $1", id))
}

// firedOnce claims until the timer is had, which is at once when the server has
// noticed that the one who held it is gone.
func firedOnce(t *testing.T, database *testdb.DB, d *db.DB, id minoots.ID) {
	t.Helper()
	var fired []db.Fired
	require.Eventually(t, func() bool {
		fired = claim(t, d, db.ClaimRequest{Limit: 10})
		return len(fired) > 0
	}, 10*time.Second, 5*time.Millisecond)
	require.Len(t, fired, 1)
	assert.Equal(t, id, fired[0].ID)
	assert.Equal(t, 1, fired[0].Occurrence, "the same occurrence, and so the same webhook-id")
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.firings WHERE timer_id = $1", id))
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.fired' AND timer_id = $1", id))
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10}))
}

// Whatever ends a fire transaction before its commit, the timer is still due.
func TestClaimDiesBeforeTheCommit(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	other := connect(t, database.URL)
	boom := errors.New("no jobs today")
	terminate := func(tx db.Tx) {
		pid := tx.Conn().PgConn().PID()
		_, err := database.Pool.Exec(t.Context(), "SELECT pg_terminate_backend($1, 5000)", pid)
		assert.NoError(t, err)
	}
	for what, c := range map[string]struct {
		then func(context.Context, db.Tx, []db.Fired) (*db.JobBatch, error)
		want minoots.Code
	}{
		"then fails": {then(func(db.Tx, []db.Fired) error { return boom }), minoots.CodeInternal},
		"the server ends the session": {then(func(tx db.Tx, _ []db.Fired) error {
			_, err := tx.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())")
			assert.Error(t, err)
			return err
		}), minoots.CodeUnavailable},
		"then does not notice": {then(func(tx db.Tx, _ []db.Fired) error { terminate(tx); return nil }), minoots.CodeUnavailable},
		"a statement fails, then does not care": {then(func(tx db.Tx, _ []db.Fired) error {
			_, err := tx.Exec(t.Context(), "SELECT 1/0")
			assert.Error(t, err)
			return nil
		}), minoots.CodeInternal},
	} {
		id := create(t, d, timerAt(d.Clock().Now().Add(-time.Second), 1, 1))[0]
		_, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 10}, c.then)
		assert.Equal(t, c.want, minoots.ErrorCode(err), "%s: %v", what, err)
		if what == "then fails" {
			require.ErrorIs(t, err, boom)
		}
		untouched(t, database, other, id)
		firedOnce(t, database, d, id)
	}

	// The caller gives up.
	id := create(t, d, timerAt(d.Clock().Now().Add(-time.Second), 1, 1))[0]
	ctx, cancel := context.WithCancel(t.Context())
	_, err := d.TimerClaim(ctx, db.ClaimRequest{Limit: 10}, then(func(db.Tx, []db.Fired) error { cancel(); return nil }))
	require.ErrorIs(t, err, context.Canceled)
	untouched(t, database, other, id)
	firedOnce(t, database, d, id)
}

// The connection breaks in the commit: the caller cannot know how it ended, is
// told so, and goes on well either way.
func TestClaimDiesInTheCommit(t *testing.T) {
	t.Parallel()
	database, direct := setup(t)
	p := newProxy(t, database)
	d := connect(t, p.URL)
	for _, committed := range []bool{false, true} {
		id := create(t, direct, timerAt(direct.Clock().Now().Add(-time.Second), 1, 1))[0]
		done := p.cutNext(committed)
		_, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 10}, then(func(db.Tx, []db.Fired) error { return nil }))
		assert.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
		<-done
		if !committed {
			untouched(t, database, direct, id)
			firedOnce(t, database, d, id)
			continue
		}
		timer := get(t, direct, id)
		assert.Equal(t, minoots.StatusFired, timer.Status)
		assert.Equal(t, minoots.FiringRunning, timer.LastFiring.Status)
		assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10}), "it is not fired again")
		assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.fired' AND timer_id = $1", id))
	}
}

// So do outcomes: whoever records them again does no harm, and loses nothing.
func TestOutcomeDiesInTheCommit(t *testing.T) {
	t.Parallel()
	database, direct := setup(t)
	p := newProxy(t, database)
	d := connect(t, p.URL)
	for _, committed := range []bool{false, true} {
		f := fire(t, direct, 2, 1)
		group := []db.OutcomeRecord{running(t, database, f)}
		done := p.cutNext(committed)
		enqueued := 0
		enqueue := after(func(context.Context, db.Tx, []minoots.Delivery) error { enqueued++; return nil })
		_, err := d.OutcomeRecord(t.Context(), "replica", group, enqueue)
		assert.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
		<-done
		live, err := d.OutcomeRecord(t.Context(), "replica", group, enqueue)
		require.NoError(t, err)
		assert.Equal(t, []bool{!committed}, live)
		assert.Equal(t, committed, enqueued == 1, "the next action once in a transaction that committed")
		firing, err := direct.FiringGet(t.Context(), tenant, f.ID, 1)
		require.NoError(t, err)
		assert.Len(t, firing.Attempts, 1)
		record(t, d, []bool{true}, runningAction(t, database, f, 1))
		assert.Equal(t, minoots.StatusSettled, get(t, direct, f.ID).Status)
	}
}
