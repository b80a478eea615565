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

const (
	day   = 24 * time.Hour
	month = 30 * day
)

// madeAt gives a timer the id that it would have had then.
func madeAt(n db.NewTimer, at time.Time) db.NewTimer {
	for i, ms := 5, at.UnixMilli(); i >= 0; i, ms = i-1, ms>>8 {
		n.ID[i] = byte(ms)
	}
	return n
}

// forgetTimers removes what has been over for a month, to the end.
func forgetTimers(t *testing.T, d *db.DB) (all int64) {
	t.Helper()
	for after := (minoots.ID{}); ; {
		last, forgotten, err := d.TimerForget(t.Context(), month, after)
		require.NoError(t, err)
		all += forgotten
		if last.IsZero() {
			return all
		}
		after = last
	}
}

// All that a year-old database may hold: what is over goes, what is not stays as
// it is, whatever its age and however far ahead it is due.
func TestRetentionNeverTouchesWhatIsPending(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	now := d.Clock().Now()
	yearAgo := now.Add(-365 * day)
	old := func(due time.Time, actions int) minoots.ID {
		return create(t, d, madeAt(timerAt(due, actions, 1), yearAgo))[0]
	}
	over := []minoots.ID{old(yearAgo.Add(time.Hour), 0), old(yearAgo.Add(2*time.Hour), 0)}
	late := old(yearAgo.Add(3*time.Hour), 0)
	running := old(yearAgo.Add(4*time.Hour), 1)
	require.Len(t, claim(t, d, db.ClaimRequest{Limit: 2, Now: yearAgo.Add(day)}), 2)
	require.Len(t, claim(t, d, db.ClaimRequest{Limit: 1}), 1, "a year late, so over since today")
	require.Len(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: yearAgo.Add(day)}), 1)

	ahead := old(now.AddDate(10, 0, 0), 1)
	overdue := old(yearAgo.Add(5*time.Hour), 1)
	paused, cancelled, lately := old(now.Add(day), 0), old(now.AddDate(10, 0, 0), 0), old(now.AddDate(10, 0, 0), 0)
	for _, change := range []struct {
		id  minoots.ID
		sql string
	}{
		{paused, "status = 'paused', due_at = NULL, held_due_at = due_at, paused_at = now()"},
		{cancelled, "status = 'cancelled', due_at = NULL, cancelled_at = now() - interval '31 days'"},
		{lately, "status = 'cancelled', due_at = NULL, cancelled_at = now() - interval '29 days'"},
	} {
		_, err := database.Pool.Exec(t.Context(), "UPDATE minoots.timer_states SET "+change.sql+" WHERE id = $1", change.id)
		require.NoError(t, err)
	}
	fresh := create(t, d, timerAt(now.AddDate(10, 0, 0), 0, 0))[0]

	kept := []minoots.ID{late, running, ahead, overdue, paused, lately, fresh}
	var before []minoots.Timer
	for _, id := range kept {
		timer := get(t, d, id)
		timer.LastFiring = nil // history, which goes by another rule
		before = append(before, timer)
	}
	// Retention as the kernel does it, all of it, and twice.
	for _, want := range []int64{int64(len(over)) + 1, 0} {
		assert.Equal(t, want, forgetTimers(t, d))
		dropAll(t, d, month)
		for rows := int64(1); rows > 0; {
			var err error
			rows, err = d.HistoryForget(t.Context(), month)
			require.NoError(t, err)
		}
	}
	for i, id := range kept {
		timer := get(t, d, id)
		timer.LastFiring = nil
		assert.Equal(t, before[i], timer)
	}
	for _, id := range append(over, cancelled) {
		_, err := d.TimerGet(t.Context(), tenant, id)
		assert.Equal(t, minoots.CodeNotFound, minoots.ErrorCode(err))
	}
	assert.Equal(t, len(kept), count(t, database, "SELECT count(*) FROM minoots.timers"), "both rows, or none")
	assert.Equal(t, minoots.FiringRunning, get(t, d, running).LastFiring.Status, "its outcome is still to come")

	// The timer in ten years has been through all this, and fires at its microsecond.
	due := before[2].FireAt.Time
	assert.Len(t, claim(t, d, db.ClaimRequest{Limit: 10, Now: now.Add(day)}), 1, "the overdue one")
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10, Now: due.Add(-time.Microsecond)}))
	fired := claim(t, d, db.ClaimRequest{Limit: 1, Now: due})
	require.Len(t, fired, 1)
	assert.Equal(t, ahead, fired[0].ID)
}

// Any number of replicas may be at it, beside one that holds a row.
func TestTimerForgetByManyAtOnce(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	const timers = 5000 // more than two pages
	_, err := database.Pool.Exec(t.Context(), `
		WITH t AS (SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid AS id, i FROM generate_series(1, $1) AS i),
		d AS (INSERT INTO minoots.timers (id, created_at, tenant_id) SELECT id, now(), 'acme' FROM t)
		INSERT INTO minoots.timer_states (id, tenant_id, fire_at, due_at, updated_at, settled_at, status)
		SELECT id, 'acme', now(), CASE WHEN i % 10 = 0 THEN now() END, now(), now() - interval '40 days',
			CASE WHEN i % 10 = 0 THEN 'scheduled' ELSE 'settled' END FROM t`, timers)
	require.NoError(t, err)
	tx, err := database.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM minoots.timer_states WHERE id = '01900000-0000-7000-8000-000000000001' FOR UPDATE")
	require.NoError(t, err)

	var g errgroup.Group
	removed := make([]int64, 4)
	for i := range removed {
		replica := connect(t, database.URL)
		g.Go(func() error { removed[i] = forgetTimers(t, replica); return nil })
	}
	require.NoError(t, g.Wait())
	assert.EqualValues(t, timers/10*9-1, removed[0]+removed[1]+removed[2]+removed[3], "each by one, and none waits for the held one")
	require.NoError(t, tx.Rollback(t.Context()))
	assert.EqualValues(t, 1, forgetTimers(t, d))
	assert.Equal(t, timers/10, count(t, database, "SELECT count(*) FROM minoots.timers JOIN minoots.timer_states USING (id)"))
}

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
