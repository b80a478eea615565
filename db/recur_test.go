package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// every is a recurring timer without a name.
func every(d time.Duration, actions int) db.NewTimer {
	n := timerAt(time.Time{}, actions, 1)
	length := minoots.Duration(d)
	n.Spec.FireAt, n.Spec.Recurrence = nil, &minoots.Recurrence{Every: &length}
	return n
}

// crontab is another, by the clocks of a zone.
func crontab(expression, zone string) db.NewTimer {
	n := timerAt(time.Time{}, 0, 1)
	n.Spec.FireAt, n.Spec.Recurrence = nil, &minoots.Recurrence{Cron: expression, TimeZone: zone}
	return n
}

// firing is what a test looks at of one.
type firing struct {
	Occurrence int
	Status     string
	Due        time.Time
	Reason     string
}

func firings(t *testing.T, database *testdb.DB, id minoots.ID) (all []firing) {
	t.Helper()
	rows, err := database.Pool.Query(t.Context(), `SELECT occurrence, status, due_at, coalesce(reason, '') FROM minoots.firings
		WHERE timer_id = $1 ORDER BY occurrence`, id)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var f firing
		require.NoError(t, rows.Scan(&f.Occurrence, &f.Status, &f.Due, &f.Reason))
		f.Due = f.Due.UTC()
		all = append(all, f)
	}
	require.NoError(t, rows.Err())
	return all
}

// audited holds a database to the promises.
func audited(t *testing.T, d *db.DB) {
	t.Helper()
	a, err := d.AuditRun(t.Context(), db.AuditRequest{Grace: -1000 * time.Hour})
	require.NoError(t, err)
	found := findings(a)
	delete(found, "timer_overdue")      // time is the test's own
	delete(found, "firing_without_job") // and it makes no jobs
	assert.Empty(t, found)
}

func TestRecurringTimerComesBack(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := every(15*time.Minute, 1)
	created, err := d.TimerCreate(t.Context(), []db.NewTimer{n})
	require.NoError(t, err)
	timer := created[0].Timer
	first := timer.FireAt
	assert.WithinDuration(t, timer.CreatedAt.Add(15*time.Minute), first.Time, 10*time.Second, "counted from the creation")
	got := get(t, d, n.ID)
	assert.Equal(t, timer.Recurrence, got.Recurrence)
	assert.Equal(t, first, got.FireAt)
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: first.Add(-time.Microsecond)}), "never early")

	var report db.ClaimReport
	late := first.Add(30 * time.Second)
	fired := claim(t, d, db.ClaimRequest{Limit: 1, Now: late, Report: &report})
	require.Len(t, fired, 1)
	assert.True(t, fired[0].Recurring)
	assert.Equal(t, 1, fired[0].Occurrence)
	assert.True(t, first.Equal(fired[0].DueAt))
	require.Len(t, report.Next, 1)
	assert.True(t, first.Add(15*time.Minute).Equal(report.Next[0]), "from when it was scheduled, not from when it ran")
	got = get(t, d, n.ID)
	assert.Equal(t, minoots.StatusScheduled, got.Status)
	assert.True(t, first.Add(15*time.Minute).Equal(got.FireAt.Time))
	assert.Equal(t, 1, got.Occurrence)
	assert.Equal(t, int64(2), got.Version)
	assert.Equal(t, minoots.FiringRunning, got.LastFiring.Status)
	for i := 2; i <= 40; i++ {
		at := first.Add(time.Duration(i-1) * 15 * time.Minute)
		fired := claim(t, d, db.ClaimRequest{Limit: 1, Now: at})
		require.Len(t, fired, 1)
		require.True(t, at.Equal(fired[0].DueAt), "on the grid of the creation")
		require.Equal(t, i, fired[0].Occurrence)
	}
	audited(t, d)
	assert.Equal(t, 40, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.fired'"))
}

func TestRecurringTimerEnds(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	three := 3
	with, without := every(time.Minute, 1), every(time.Minute, 0)
	with.Spec.Recurrence.MaxOccurrences, without.Spec.Recurrence.MaxOccurrences = &three, &three
	created, err := d.TimerCreate(t.Context(), []db.NewTimer{with, without})
	require.NoError(t, err)
	first := created[0].Timer.FireAt.Time
	var last []db.Fired
	for i := range three {
		last = claim(t, d, db.ClaimRequest{Limit: 10, Now: first.Add(time.Duration(i) * time.Minute)})
		require.Len(t, last, 2)
		assert.Equal(t, i < 2, last[0].Recurring, "the outcome of the last one is the timer's")
	}
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10, Now: first.Add(time.Hour)}))
	assert.Equal(t, minoots.StatusFired, get(t, d, with.ID).Status)
	over := get(t, d, without.ID)
	assert.Equal(t, minoots.StatusSettled, over.Status)
	assert.Equal(t, 3, over.Occurrence)
	assert.NotNil(t, over.SettledAt)
	audited(t, d)
}

// An occurrence fires once, however many claim at once.
func TestRecurringTimersByManyReplicas(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	const timers, rounds, replicas = 100, 10, 4
	var all []db.NewTimer
	for i := range timers {
		all = append(all, every(time.Second, i%2))
	}
	created, err := d.TimerCreate(t.Context(), all)
	require.NoError(t, err)
	first := created[0].Timer.FireAt.Time
	pools := make([]*db.DB, replicas)
	for i := range pools {
		pools[i] = connect(t, database.URL)
	}
	for round := range rounds {
		now := first.Add(time.Duration(round) * time.Second)
		for count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE due_at <= $1", now) > 0 {
			var g errgroup.Group
			for _, p := range pools {
				g.Go(func() error {
					_, err := p.TimerClaim(t.Context(), db.ClaimRequest{Limit: 30, Now: now}, then(func(db.Tx, []db.Fired) error { return nil }))
					return err
				})
			}
			require.NoError(t, g.Wait())
		}
	}
	assert.Equal(t, timers*rounds, count(t, database, "SELECT count(*) FROM minoots.firings"))
	assert.Equal(t, timers*rounds, count(t, database, "SELECT count(DISTINCT (timer_id, occurrence)) FROM minoots.firings WHERE fired_at = due_at"))
	assert.Equal(t, timers, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE occurrence = $1 AND status = 'scheduled'", rounds))
	audited(t, d)
}

// Nine in Paris is nine in Paris, before and after the clocks change.
func TestRecurringTimerThroughAChangeOfClocks(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := crontab("30 2 * * *", "Europe/Paris")
	from := minoots.InstantOf(time.Date(2027, 3, 26, 12, 0, 0, 0, time.UTC))
	n.Spec.Recurrence.StartAt = &from
	create(t, d, n)
	var want []time.Time
	for _, at := range []string{"2027-03-27T01:30:00Z", "2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"} { // 02:30 CET, 03:30 CEST in the gap, 02:30 CEST
		due, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		want = append(want, due)
		fired := claim(t, d, db.ClaimRequest{Limit: 1, Now: due})
		require.Len(t, fired, 1, at)
	}
	var got []time.Time
	for _, f := range firings(t, database, n.ID) {
		got = append(got, f.Due)
	}
	assert.Equal(t, want, got)
}

// What nobody has armed yet is armed by the claim, and does not fire.
func TestUnarmedTimerIsArmedByTheClaim(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	id := minoots.NewID()
	_, err := database.Pool.Exec(t.Context(), `
		WITH t AS (INSERT INTO minoots.timers (id, created_at, tenant_id, recurrence) VALUES ($1, now(), $2, '{"every":"1h"}'))
		, e AS (INSERT INTO minoots.events (timer_id, tenant_id, type) VALUES ($1, $2, 'timer.scheduled'))
		INSERT INTO minoots.timer_states (id, tenant_id, fire_at, due_at, updated_at, recurring, unarmed)
		VALUES ($1, $2, now(), now(), now(), true, true)`, id, tenant)
	require.NoError(t, err)
	created := get(t, d, id)
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 1}))
	armed := get(t, d, id)
	assert.Equal(t, minoots.StatusScheduled, armed.Status)
	assert.Equal(t, created.CreatedAt.Add(time.Hour), armed.FireAt.Time)
	assert.Zero(t, armed.Occurrence)
	assert.Empty(t, firings(t, database, id))
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 1}), "armed once")
	assert.Len(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: armed.FireAt.Time}), 1)
	audited(t, d)
}

// The jitter is another in each occurrence, and the same whoever computes it.
func TestRecurringTimerJitter(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := every(time.Minute, 0)
	n.Spec.JitterMs = 30_000
	created, err := d.TimerCreate(t.Context(), []db.NewTimer{n})
	require.NoError(t, err)
	first, seen := created[0].Timer.FireAt.Time, map[time.Duration]bool{}
	for i := range 10 {
		at := first.Add(time.Duration(i) * time.Minute)
		var due time.Time
		require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT due_at FROM minoots.timer_states WHERE id = $1", n.ID).Scan(&due))
		assert.False(t, due.Before(at))
		assert.Less(t, due.Sub(at), 30*time.Second)
		seen[due.Sub(at)] = true
		assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: due.Add(-time.Microsecond)}))
		fired := claim(t, d, db.ClaimRequest{Limit: 1, Now: due})
		require.Len(t, fired, 1)
		assert.True(t, due.Equal(fired[0].DueAt))
	}
	assert.Len(t, seen, 10)
}
