package db_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// What retention took is not missed: history, timers, or both.
func TestAuditAfterRetention(t *testing.T) {
	t.Parallel()
	for what, keep := range map[string]struct{ timers, history bool }{
		"all gone": {}, "timers kept": {timers: true}, "history kept": {history: true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			database, d := setup(t)
			lived(t, database, d)
			age(t, database, 60) // 46 and 14
			// The week that lived filled is kept, because something in it runs; that of
			// this one, two weeks later, is not.
			then := d.Clock().Now().Add(-46 * day)
			create(t, d, timerAt(then, 0, 0))
			require.Len(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: then.Add(time.Second)}), 1)
			require.Empty(t, findings(audit(t, d, db.AuditRequest{})), "before")
			lived(t, database, d) // and today
			if !keep.timers {
				assert.NotZero(t, forgetTimers(t, d))
			}
			if !keep.history {
				dropped := dropAll(t, d, month)
				assert.Equal(t, db.DropRunning, dropped["firings_"+monday(then.Add(-14*day))])
				assert.Equal(t, db.DropDone, dropped["firings_"+monday(then)])
				assert.Equal(t, db.DropDone, dropped["events_"+monday(then.Add(-14*day))])
				_, err := d.HistoryForget(t.Context(), month)
				require.NoError(t, err)
			}
			assert.Empty(t, findings(audit(t, d, db.AuditRequest{})))
		})
	}
}

// monday is the name of an instant's week.
func monday(at time.Time) string {
	at = at.UTC()
	return at.AddDate(0, 0, -(int(at.Weekday())+6)%7).Format("20060102")
}

// age makes all that happened have happened so many days ago.
func age(t *testing.T, database *testdb.DB, days int) {
	t.Helper()
	ago := fmt.Sprintf("interval '%d days'", days)
	shift := func(columns ...string) string {
		for i, c := range columns {
			columns[i] = c + " = " + c + " - " + ago
		}
		return strings.Join(columns, ", ")
	}
	// The ids too: the first 48 bits are the time.
	older := func(id string) string {
		return fmt.Sprintf(`%[1]s = (lpad(to_hex(('x' || translate(left(%[1]s::text, 13), '-', ''))::bit(48)::bigint - %[2]d), 12, '0')
			|| substr(%[1]s::text, 14))::uuid`, id, days*86_400_000)
	}
	for _, sql := range []string{
		fmt.Sprintf("SELECT minoots.ensure_partitions(now() - %s - interval '7 days', 8)", ago),
		"UPDATE minoots.timers SET " + older("id") + ", " + shift("created_at"),
		"UPDATE minoots.timer_states SET " + older("id") + ", " + shift("fire_at", "updated_at", "fired_at", "settled_at", "cancelled_at", "held_due_at", "paused_at") +
			", due_at = CASE WHEN due_at < now() THEN due_at - " + ago + " ELSE due_at END",
		"UPDATE minoots.firings SET " + older("timer_id") + ", " + shift("due_at", "fired_at", "settled_at"),
		"UPDATE minoots.attempts SET " + older("timer_id") + ", " + shift("started_at", "finished_at"),
		"UPDATE minoots.events SET " + older("timer_id") + ", " + shift("occurred_at"),
		"UPDATE minoots.dead_letters SET " + older("id") + ", " + older("timer_id") + ", " + shift("due_at", "created_at", "redriven_at", "closed_at"),
		"DELETE FROM minoots.idempotency_keys",
		`UPDATE river.river_job SET args = jsonb_set(jsonb_set(args, '{timer,id}', to_jsonb(f.timer_id)), '{dueAt}', to_jsonb(f.due_at))
			FROM minoots.firings f WHERE right(f.timer_id::text, 20) = right(args #>> '{timer,id}', 20)`,
	} {
		_, err := database.Pool.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
}

// Behind a transaction pooler both do their work too.
func TestAuditAndRetentionThroughAPooler(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	d := connect(t, database.PgBouncer(t))
	require.True(t, d.Pooled())
	lived(t, database, d)
	age(t, database, 60)
	lived(t, database, d)
	dropped := dropAll(t, d, month)
	assert.Equal(t, db.DropDone, dropped["events_"+monday(d.Clock().Now().Add(-60*day))])
	_, err := d.HistoryForget(t.Context(), month)
	require.NoError(t, err)
	assert.NotZero(t, forgetTimers(t, d))
	a := audit(t, d, db.AuditRequest{})
	assert.Empty(t, findings(a))
	var timeout string
	require.NoError(t, d.Pool().QueryRow(t.Context(), "SELECT current_setting('statement_timeout')").Scan(&timeout))
	assert.Equal(t, "0", timeout, "the settings of an audit end with it")
}

// A check that takes too long is named, and what can be done about it.
func TestAuditTakesNoLongerThanAllowed(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	tx, err := database.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { assert.NoError(t, tx.Rollback(context.Background())) }()
	_, err = tx.Exec(t.Context(), "LOCK TABLE river.river_job")
	require.NoError(t, err)
	_, err = d.AuditRun(t.Context(), db.AuditRequest{Timeout: 100 * time.Millisecond})
	assert.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err))
	require.ErrorContains(t, err, "firing_without_job")
}
