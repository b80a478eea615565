package db_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func TestCancelFromSQL(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	cancel := func(tenant string, id minoots.ID, reason any) (bool, string) {
		var done bool
		err := conn.QueryRow(t.Context(), "SELECT minoots.cancel($1, $2, $3)", tenant, id, reason).Scan(&done)
		if err != nil {
			return false, sqlState(err)
		}
		return done, ""
	}
	schedule := func(spec string) (id minoots.ID) {
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.schedule('acme', $1)", spec).Scan(&id))
		return id
	}
	expect := func(done bool, code string) func(bool, string) {
		return func(gotDone bool, gotCode string) {
			t.Helper()
			assert.Equal(t, done, gotDone)
			assert.Equal(t, code, gotCode)
		}
	}

	id := schedule(farSpec)
	expect(false, "P0002")(cancel("globex", id, nil)) // another tenant's is none
	expect(false, "P0002")(cancel("acme", minoots.NewID(), nil))
	expect(false, "22023")(cancel("acme", id, strings.Repeat("é", 257)))
	assert.Equal(t, minoots.StatusScheduled, get(t, d, id).Status)

	expect(true, "")(cancel("acme", id, strings.Repeat("é", 256)))
	timer := get(t, d, id)
	assert.Equal(t, minoots.StatusCancelled, timer.Status)
	assert.Equal(t, strings.Repeat("é", 256), *timer.CancelReason)
	assert.NotNil(t, timer.CancelledAt)
	assert.EqualValues(t, 2, timer.Version)
	expect(false, "")(cancel("acme", id, "again"))
	assert.Equal(t, timer, get(t, d, id), "it stays as it was")
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.events WHERE timer_id = $1 AND type = 'timer.cancelled'", id))

	var done bool
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.cancel('acme', $1)", schedule(farSpec)).Scan(&done))
	assert.True(t, done, "without a reason")

	running, over := schedule(farSpec), schedule(pastSpec)
	claim(t, d, db.ClaimRequest{Limit: 10, Now: time.Now().Add(2 * time.Hour)})
	expect(false, "55000")(cancel("acme", running, nil))
	assert.Equal(t, minoots.StatusFired, get(t, d, running).Status)
	expect(false, "")(cancel("acme", over, nil))
}

// Of a cancel and a claim one wins, and the other sees it.
func TestCancelFromSQLAndClaim(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	due := strings.Replace(farSpec, `"duration": "1h"`, `"fireAt": "2020-01-01T00:00:00Z", "misfire": {"policy": "fire_once"}`, 1)
	schedule := func() (id minoots.ID) {
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.schedule('acme', $1)", due).Scan(&id))
		return id
	}

	// A claim steps over a cancel that has not ended, and takes the timer if it is taken back.
	first := schedule()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT minoots.cancel('acme', $1)", first)
	require.NoError(t, err)
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10}))
	require.NoError(t, tx.Rollback(t.Context()))

	// A cancel waits for a claim that has not ended, and then sees that it lost.
	fired, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 10}, then(func(db.Tx, []db.Fired) error {
		_, err := conn.Exec(t.Context(), "SET lock_timeout = '50ms'")
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "SELECT minoots.cancel('acme', $1)", first)
		assert.Equal(t, "55P03", sqlState(err), "it waits")
		_, err = conn.Exec(t.Context(), "RESET lock_timeout")
		return err
	}))
	require.NoError(t, err)
	require.Len(t, fired, 1)
	_, err = conn.Exec(t.Context(), "SELECT minoots.cancel('acme', $1)", first)
	assert.Equal(t, "55000", sqlState(err))

	// And in a crowd.
	ids := make([]minoots.ID, 60)
	for i := range ids {
		ids[i] = schedule()
	}
	raceSQLWithClaim(t, database, d, ids, "SELECT minoots.cancel('acme', $1)", minoots.StatusCancelled)
}
