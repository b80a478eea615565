package db_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// elapse lets that much time pass for a paused timer.
func elapse(t *testing.T, database *testdb.DB, id minoots.ID, d time.Duration) {
	t.Helper()
	_, err := database.Pool.Exec(t.Context(), `
		WITH paused AS (
			UPDATE minoots.timer_states SET fire_at = fire_at - $2 * interval '1 second', paused_at = paused_at - $2 * interval '1 second',
				held_due_at = held_due_at - $2 * interval '1 second' WHERE id = $1
		)
		UPDATE minoots.events SET occurred_at = occurred_at - $2 * interval '1 second' WHERE timer_id = $1 AND type = 'timer.paused'`, id, d.Seconds())
	require.NoError(t, err)
}

// dueAt is when a claim may take a timer; nil for never.
func dueAt(t *testing.T, database *testdb.DB, id minoots.ID) (due *time.Time) {
	t.Helper()
	require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT due_at FROM minoots.timer_states WHERE id = $1", id).Scan(&due))
	return due
}

func code(_ db.Changed, err error) minoots.Code { return minoots.ErrorCode(err) }

func TestPauseTakesATimerOutOfTheQueue(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := timerAt(past(d), 1, 1)
	n.Spec.JitterMs = 1000
	create(t, d, n)
	was := get(t, d, n.ID)

	paused, err := d.TimerPause(t.Context(), tenant, n.ID)
	require.NoError(t, err)
	assert.Equal(t, minoots.StatusPaused, paused.Timer.Status)
	assert.Equal(t, was.Version+1, paused.Timer.Version)
	assert.Equal(t, was.FireAt, paused.Timer.FireAt)
	assert.Zero(t, paused.DueAt)
	assert.Nil(t, dueAt(t, database, n.ID))
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 1}))

	again, err := d.TimerPause(t.Context(), tenant, n.ID)
	require.NoError(t, err)
	assert.Equal(t, paused, again, "pausing twice changes nothing")
	assert.Equal(t, []string{"timer.paused"}, eventTypes(t, database, n.ID))
}

func TestResume(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	for _, test := range []struct {
		policy minoots.ResumePolicy
		paused time.Duration // of a timer that is due in an hour
		dueIn  time.Duration
	}{
		{minoots.ResumeShift, 20 * time.Minute, time.Hour},
		{minoots.ResumeShift, 2 * time.Hour, time.Hour},
		{minoots.ResumeShift, 300 * 24 * time.Hour, time.Hour},
		{minoots.ResumeFire, 20 * time.Minute, 40 * time.Minute},
		{minoots.ResumeFire, 2 * time.Hour, 0},
		{minoots.ResumeSkip, 20 * time.Minute, 40 * time.Minute},
	} {
		now := d.Clock().Now()
		n := timerAt(now.Add(time.Hour), 1, 1)
		create(t, d, n)
		_, err := d.TimerPause(t.Context(), tenant, n.ID)
		require.NoError(t, err)
		elapse(t, database, n.ID, test.paused)
		resumed, err := d.TimerResume(t.Context(), tenant, n.ID, test.policy)
		require.NoError(t, err)
		assert.Equal(t, minoots.StatusScheduled, resumed.Timer.Status)
		assert.WithinDuration(t, now.Add(test.dueIn), resumed.DueAt, 10*time.Second, "%+v", test)
		assert.WithinDuration(t, resumed.DueAt, resumed.Timer.FireAt.Time, time.Second, "%+v", test)
		assert.True(t, resumed.DueAt.Equal(*dueAt(t, database, n.ID)))
		assert.EqualValues(t, 3, resumed.Timer.Version)

		again, err := d.TimerResume(t.Context(), tenant, n.ID, minoots.ResumeSkip)
		require.NoError(t, err)
		assert.Equal(t, resumed.Timer, again.Timer, "resuming twice changes nothing")
		assert.Zero(t, again.DueAt)
		assert.Equal(t, []string{"timer.paused", "timer.resumed"}, eventTypes(t, database, n.ID))
	}
	assert.Len(t, claim(t, d, db.ClaimRequest{LowWater: past(d), Limit: 10}), 1, "above the low-water mark")
	requireSound(t, d)
}

// What was left is the same in a session whose days are not all of 24 hours.
func TestResumeInATimeZone(t *testing.T) {
	t.Parallel()
	database, _ := setup(t)
	sep := "?"
	if strings.Contains(database.URL, "?") {
		sep = "&"
	}
	d := connect(t, database.URL+sep+"timezone=America/New_York")
	for days := range 12 {
		n := timerAt(d.Clock().Now().Add(time.Hour), 0, 0)
		create(t, d, n)
		_, err := d.TimerPause(t.Context(), tenant, n.ID)
		require.NoError(t, err)
		elapse(t, database, n.ID, time.Duration(days)*30*24*time.Hour)
		resumed, err := d.TimerResume(t.Context(), tenant, n.ID, minoots.ResumeShift)
		require.NoError(t, err)
		assert.WithinDuration(t, d.Clock().Now().Add(time.Hour), resumed.DueAt, 10*time.Second, "after %d months", days)
	}
}

func TestResumeSkipsWhatWasMissed(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := timerAt(d.Clock().Now().Add(time.Hour), 2, 1)
	create(t, d, n)
	_, err := d.TimerPause(t.Context(), tenant, n.ID)
	require.NoError(t, err)
	elapse(t, database, n.ID, 2*time.Hour)
	over, err := d.TimerResume(t.Context(), tenant, n.ID, minoots.ResumeSkip)
	require.NoError(t, err)
	assert.Equal(t, minoots.StatusCancelled, over.Timer.Status)
	assert.Contains(t, *over.Timer.CancelReason, "while it was paused")
	assert.Zero(t, over.DueAt)
	require.NotNil(t, over.Timer.LastFiring)
	assert.Equal(t, minoots.FiringSkipped, over.Timer.LastFiring.Status)
	assert.Equal(t, over.Timer.CancelReason, over.Timer.LastFiring.Reason)
	assert.Equal(t, over.Timer.FireAt, over.Timer.LastFiring.DueAt)
	assert.Equal(t, []string{"timer.paused", "timer.cancelled"}, eventTypes(t, database, n.ID))
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 1}))
	assert.Equal(t, minoots.CodeConflict, code(d.TimerResume(t.Context(), tenant, n.ID, minoots.ResumeFire)))
	requireSound(t, d)
}

// requireSound holds the database to the audit.
func requireSound(t *testing.T, d *db.DB) {
	t.Helper()
	a, err := d.AuditRun(t.Context(), db.AuditRequest{})
	require.NoError(t, err)
	found := findings(a)
	delete(found, "firing_without_job") // these tests make none
	require.Empty(t, found)
}

// changes are all the operations that change a timer, as a caller might use them.
var changes = map[string]func(t *testing.T, d *db.DB, tenant string, id minoots.ID) (db.Changed, error){
	"pause": func(t *testing.T, d *db.DB, tenant string, id minoots.ID) (db.Changed, error) {
		return d.TimerPause(t.Context(), tenant, id)
	},
	"update": func(t *testing.T, d *db.DB, tenant string, id minoots.ID) (db.Changed, error) {
		timer, err := d.TimerGet(t.Context(), tenant, id)
		if err != nil {
			return db.Changed{}, err
		}
		return d.TimerUpdate(t.Context(), tenant, id, db.TimerUpdate{Version: timer.Version, Spec: timerNamed("changed")})
	},
	"snooze": func(t *testing.T, d *db.DB, tenant string, id minoots.ID) (db.Changed, error) {
		hour := minoots.Duration(time.Hour)
		return d.TimerSnooze(t.Context(), tenant, id, &hour, nil)
	},
	"fire": func(t *testing.T, d *db.DB, tenant string, id minoots.ID) (db.Changed, error) {
		return d.TimerFire(t.Context(), tenant, id)
	},
	"resume": func(t *testing.T, d *db.DB, tenant string, id minoots.ID) (db.Changed, error) {
		return d.TimerResume(t.Context(), tenant, id, minoots.ResumeShift)
	},
}

// A timer that has fired or is over, and another tenant's, change in no way; and
// the caller is told why.
func TestChangeOfWhatCannotChange(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	fired, settled, cancelled, foreign := timerAt(past(d), 1, 1), timerAt(past(d), 0, 0), timerAt(past(d), 1, 1), timerAt(past(d).Add(time.Hour), 1, 1)
	create(t, d, fired, settled)
	require.Len(t, claim(t, d, db.ClaimRequest{Limit: 5}), 2)
	create(t, d, cancelled, foreign)
	_, err := d.TimerCancel(t.Context(), tenant, cancelled.ID, nil, nil)
	require.NoError(t, err)
	all := func() (rows string) {
		require.NoError(t, database.Pool.QueryRow(t.Context(),
			"SELECT string_agg(s::text || t::text, E'\\n' ORDER BY id) FROM minoots.timer_states s JOIN minoots.timers t USING (id)").Scan(&rows))
		return rows
	}
	before, events := all(), count(t, database, "SELECT count(*) FROM minoots.events")
	for name, change := range changes {
		_, err := change(t, d, tenant, fired.ID)
		assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err), name)
		assert.ErrorContains(t, err, "has fired", name)
		for id, status := range map[minoots.ID]string{settled.ID: "over (settled)", cancelled.ID: "over (cancelled)"} {
			_, err = change(t, d, tenant, id)
			assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err), name)
			assert.ErrorContains(t, err, status, name)
		}
		_, err = change(t, d, "other", foreign.ID)
		assert.Equal(t, minoots.CodeNotFound, minoots.ErrorCode(err), name)
		_, err = change(t, d, tenant, minoots.NewID())
		assert.Equal(t, minoots.CodeNotFound, minoots.ErrorCode(err), name)
		assert.Equal(t, before, all(), name)
	}
	assert.Equal(t, events, count(t, database, "SELECT count(*) FROM minoots.events"))
}

// Of many who pause or resume a timer at once, one does, and the others see it done.
func TestPauseAndResumeAtOnce(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := timerAt(d.Clock().Now().Add(time.Hour), 1, 1)
	create(t, d, n)
	replicas := []*db.DB{d, connect(t, database.URL), connect(t, database.URL)}
	for round := range 20 {
		for _, name := range []string{"pause", "resume"} {
			var g errgroup.Group
			for i := range 6 {
				g.Go(func() error {
					_, err := changes[name](t, replicas[i%len(replicas)], tenant, n.ID)
					return err
				})
			}
			require.NoError(t, g.Wait())
		}
		assert.EqualValues(t, 3+2*round, get(t, d, n.ID).Version)
	}
	assert.Equal(t, 41, count(t, database, "SELECT count(*) FROM minoots.events"))
}
