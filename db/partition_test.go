package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

const partitions = `SELECT count(*) FROM pg_class WHERE relnamespace = 'minoots'::regnamespace AND relname ~ '^(firings|attempts|events)_\d{8}$'`

// dropPartitions leaves the history tables with their default partitions only.
func dropPartitions(t *testing.T, database *testdb.DB) {
	t.Helper()
	_, err := database.Pool.Exec(t.Context(), `DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT oid::regclass FROM pg_class WHERE relnamespace = 'minoots'::regnamespace AND relkind = 'r' AND relname ~ '_\d{8}$' LOOP
			EXECUTE 'DROP TABLE ' || name;
		END LOOP; END $$`)
	require.NoError(t, err)
	require.Zero(t, count(t, database, partitions))
}

// Every replica makes the partitions, and all may do so in the same moment.
func TestPartitionsEnsureByManyAtOnce(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	dropPartitions(t, database)
	made := make([]int, 8)
	var g errgroup.Group
	for i := range made {
		replica := connect(t, database.URL)
		g.Go(func() (err error) {
			made[i], err = replica.PartitionsEnsure(t.Context())
			return err
		})
	}
	require.NoError(t, g.Wait())
	sum := 0
	for _, n := range made {
		sum += n
	}
	assert.Equal(t, 3*5, sum, "three tables, this week and four more, each made by one")
	assert.Equal(t, 3*5, count(t, database, partitions))

	again, err := connect(t, database.URL).PartitionsEnsure(t.Context())
	require.NoError(t, err)
	assert.Zero(t, again)
}

// History that no week was made for is kept, in the default partition.
func TestHistoryOutsideTheWeeks(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	now := d.Clock().Now()
	where := func(table string) (partition string) {
		t.Helper()
		require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT tableoid::regclass::text FROM minoots."+table).Scan(&partition))
		return partition
	}
	// A timer that was due ten years ago, fired today, whose receiver's clock is
	// ten years ahead.
	ids := create(t, d, timerAt(now.AddDate(-10, 0, 0), 1, 1))
	fired := claim(t, d, db.ClaimRequest{Limit: 10})
	require.Len(t, fired, 1)
	assert.Equal(t, "minoots.firings_default", where("firings"))

	r := running(t, database, fired[0])
	r.Outcome.StartedAt, r.Outcome.FinishedAt = now.AddDate(10, 0, 0), now.AddDate(10, 0, 0)
	record(t, d, []bool{true}, r)
	assert.Equal(t, "minoots.attempts_default", where("attempts"))
	assert.Contains(t, where("events"), "minoots.events_2", "events are dated by the database")
	assert.Equal(t, "settled", string(get(t, d, ids[0]).Status))

	made, err := d.PartitionsEnsure(t.Context())
	require.NoError(t, err)
	assert.Zero(t, made)
}

// A timer in ten years waits: nothing claims it, reads it into a heap or moves
// it, and then it fires at its microsecond.
func TestTimerInTenYears(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	due := d.Clock().Now().AddDate(10, 0, 0).Truncate(time.Microsecond)
	id := create(t, d, timerAt(due, 0, 0))[0]
	before := get(t, d, id)

	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10}))
	upcoming, err := d.TimerUpcoming(t.Context(), time.Time{}, d.Clock().Now().Add(db.LookAhead), 10)
	require.NoError(t, err)
	assert.Empty(t, upcoming)
	n, oldest, err := d.TimerBacklog(t.Context(), 10)
	require.NoError(t, err)
	assert.Zero(t, n)
	assert.Zero(t, oldest)
	_, err = d.PartitionsEnsure(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before, get(t, d, id))
	assert.True(t, due.Equal(before.FireAt.Time))

	next, _, err := d.TimerNext(t.Context(), time.Time{})
	require.NoError(t, err)
	assert.True(t, due.Equal(next), "a poll sees when it is due")
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10, Now: due.Add(-time.Microsecond)}), "not a microsecond early")
	assert.Len(t, claim(t, d, db.ClaimRequest{Limit: 10, Now: due}), 1)
}

// A week whose history went to the default partition before its own was made, as
// in a database that was idle for weeks, keeps no other week from being made.
func TestPartitionsEnsureLeavesOutAWeekInTheDefault(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	dropPartitions(t, database)
	create(t, d, timerAt(d.Clock().Now().Add(-time.Second), 1, 1))
	require.Len(t, claim(t, d, db.ClaimRequest{Limit: 10}), 1)
	made, err := d.PartitionsEnsure(t.Context())
	require.NoError(t, err)
	// firings and events of this week are in their defaults; attempts has no row.
	assert.Equal(t, 3*5-2, made)
}
