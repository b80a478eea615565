package db_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// dropAll drops what is older than that, and tells what became of each partition.
func dropAll(t *testing.T, d *db.DB, olderThan time.Duration) map[string]db.Drop {
	t.Helper()
	all := map[string]db.Drop{}
	for after := ""; ; {
		partition, became, err := d.PartitionDrop(t.Context(), olderThan, after)
		require.NoError(t, err)
		if partition == "" {
			return all
		}
		all[partition], after = became, partition
	}
}

// weeks makes partitions from so long ago on, each with a settled firing, and
// gives how many of each table there are that end before "before".
func weeks(t *testing.T, database *testdb.DB, ago, before time.Duration) (expired int) {
	t.Helper()
	_, err := database.Pool.Exec(t.Context(), "SELECT minoots.ensure_partitions(now() - $1::interval, $2)", ago, int(ago/(7*day)))
	require.NoError(t, err)
	_, err = database.Pool.Exec(t.Context(), `
		INSERT INTO minoots.firings (timer_id, due_at, fired_at, settled_at, occurrence, actions, started, tenant_id, status)
		SELECT gen_random_uuid(), begins, begins, begins, 1, 0, 0, 'acme', 'settled'
		FROM minoots.history_partitions() WHERE parent = 'firings'`)
	require.NoError(t, err)
	return count(t, database, "SELECT count(*) FROM minoots.history_partitions() WHERE parent = 'events' AND ends <= now() - $1::interval", before)
}

func TestPartitionDrop(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	expired := weeks(t, database, 100*day, month)
	require.GreaterOrEqual(t, expired, 9)
	all := count(t, database, partitions)

	dropped := dropAll(t, d, month)
	assert.Len(t, dropped, 3*expired)
	for partition, became := range dropped {
		assert.Equal(t, db.DropDone, became, partition)
	}
	assert.Equal(t, all-3*expired, count(t, database, partitions))
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.history_partitions() WHERE ends <= now() - $1::interval", month))
	assert.Equal(t, 3, count(t, database, "SELECT count(*) FROM minoots.history_partitions() WHERE begins <= now() - $1::interval", month),
		"the week in which the time ends stays whole")
	assert.Equal(t, 1, count(t, database,
		"SELECT count(*) FROM (SELECT minoots.history_begins('events') AS b) AS x WHERE b BETWEEN now() - $1::interval AND now() - $2::interval", month+7*day, month))
	assert.Empty(t, dropAll(t, d, month))
	made, err := d.PartitionsEnsure(t.Context())
	require.NoError(t, err)
	assert.Zero(t, made, "what is to come is all there")
}

// A week with a running firing stays, and all others go; once it is over it goes too.
func TestPartitionDropKeepsWhatRuns(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	expired := weeks(t, database, 100*day, month)
	due := d.Clock().Now().Add(-60 * day)
	id := create(t, d, madeAt(timerAt(due, 1, 1), due))[0]
	fired := claim(t, d, db.ClaimRequest{Limit: 1})
	require.Equal(t, id, fired[0].ID)

	dropped := dropAll(t, d, month)
	assert.Len(t, dropped, 3*expired)
	kept := ""
	for partition, became := range dropped {
		if became != db.DropDone {
			assert.Equal(t, db.DropRunning, became)
			assert.Empty(t, kept, "one only")
			kept = partition
		}
	}
	require.NotEmpty(t, kept)
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots."+kept+" WHERE timer_id = $1", id))

	record(t, d, []bool{true}, running(t, database, fired[0]))
	assert.Equal(t, minoots.StatusSettled, get(t, d, id).Status, "nothing was lost")
	assert.Equal(t, map[string]db.Drop{kept: db.DropDone}, dropAll(t, d, month))
}

// A firing that came after its week was looked through has its jobs, which keep
// the week. The job is one as workers make them: its delivery, as JSON.
func TestPartitionDropSeesTheJobsUnderTheLock(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	weeks(t, database, 100*day, month)
	due := d.Clock().Now().Add(-60 * day)
	args, err := json.Marshal(minoots.Delivery{DueAt: minoots.InstantOf(due)})
	require.NoError(t, err)
	_, err = database.Pool.Exec(t.Context(), `INSERT INTO river.river_job (kind, args, max_attempts, queue, state)
		VALUES ('action', $1, 5, 'webhook', 'available'), ('of somebody else', '{"dueAt": 1}', 5, 'other', 'available')`, args)
	require.NoError(t, err)
	week := fmt.Sprintf("firings_%s", due.UTC().AddDate(0, 0, -(int(due.UTC().Weekday())+6)%7).Format("20060102"))
	dropped := dropAll(t, d, month)
	assert.Equal(t, db.DropRunning, dropped[week], "%v", dropped)
	_, err = database.Pool.Exec(t.Context(), "UPDATE river.river_job SET state = 'discarded', finalized_at = now() WHERE kind = 'action'")
	require.NoError(t, err)
	assert.Equal(t, db.DropDone, dropAll(t, d, month)[week])
}

// Whoever reads history for long keeps it for so long, and keeps nothing else waiting.
func TestPartitionDropWaitsForNobody(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	expired := weeks(t, database, 50*day, month)
	tx, err := database.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM minoots.attempts")
	require.NoError(t, err)
	locked := 0
	for partition, became := range dropAll(t, d, month) {
		if became == db.DropLocked {
			locked++
			assert.Contains(t, partition, "attempts_")
		}
	}
	assert.Equal(t, expired, locked)
	require.NoError(t, tx.Rollback(t.Context()))
	assert.Len(t, dropAll(t, d, month), expired)

	// Another replica is at it.
	weeks(t, database, 50*day, month)
	tx, err = database.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock(7700, 2)")
	require.NoError(t, err)
	assert.Empty(t, dropAll(t, d, month))
	require.NoError(t, tx.Rollback(t.Context()))

	// And so may any number be.
	var g errgroup.Group
	for range 4 {
		replica := connect(t, database.URL)
		g.Go(func() error { dropAll(t, replica, month); return nil })
	}
	require.NoError(t, g.Wait())
	dropAll(t, d, month)
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.history_partitions() WHERE ends <= now() - $1::interval", month))
}

// History that stands in no week goes by the same time, and stays while it runs.
func TestHistoryForget(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	yearAgo := d.Clock().Now().Add(-365 * day)
	create(t, d, timerAt(yearAgo, 0, 0), timerAt(yearAgo.Add(time.Second), 1, 1), timerAt(yearAgo.Add(2*time.Second), 0, 0))
	require.Len(t, claim(t, d, db.ClaimRequest{Limit: 2, Now: yearAgo.Add(day)}), 2) // one settled then, one running since then
	require.Len(t, claim(t, d, db.ClaimRequest{Limit: 1}), 1)                        // one settled now, a year late
	_, err := database.Pool.Exec(t.Context(), `
		INSERT INTO minoots.events (occurred_at, timer_id, tenant_id, type) SELECT now() - $1::interval, gen_random_uuid(), 'acme', 'timer.fired' FROM generate_series(1, 5);
		`, 365*day)
	require.NoError(t, err)
	_, err = database.Pool.Exec(t.Context(), `
		INSERT INTO minoots.attempts (timer_id, started_at, finished_at, occurrence, attempt, tenant_id, action_id, kind, status, replica)
		SELECT gen_random_uuid(), now(), at, 1, 1, 'acme', 'a', 'webhook', 'succeeded', ''
		FROM (VALUES (now() - interval '1 year'), (now() + interval '10 years')) AS x (at)`)
	require.NoError(t, err)
	rows, err := d.HistoryForget(t.Context(), month)
	require.NoError(t, err)
	assert.EqualValues(t, 1+5+1, rows)
	assert.Equal(t, 2, count(t, database, "SELECT count(*) FROM minoots.firings_default"))
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.attempts_default"))
	rows, err = d.HistoryForget(t.Context(), month)
	require.NoError(t, err)
	assert.Zero(t, rows)
}
