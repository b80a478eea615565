package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
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
