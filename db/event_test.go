package db_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// readAll reads the log to its end, in pages.
func readAll(t *testing.T, d *db.DB, req db.EventRequest) ([]db.LogEvent, db.EventCursor) {
	t.Helper()
	var events []db.LogEvent
	for {
		page, err := d.EventPage(t.Context(), req)
		require.NoError(t, err)
		events = append(events, page.Events...)
		req.After = page.Next
		if !page.More {
			return events, page.Next
		}
	}
}

func oldest(t *testing.T, d *db.DB) db.EventCursor {
	t.Helper()
	c, err := d.EventOldest(t.Context())
	require.NoError(t, err)
	return c
}

func types(events []db.LogEvent) []minoots.EventType {
	var out []minoots.EventType
	for _, e := range events {
		out = append(out, e.Type)
	}
	return out
}

func TestEventPage(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	latest, err := d.EventLatest(t.Context())
	require.NoError(t, err)
	ids := create(t, d, timerAt(past(d), 0, 1), timerAt(past(d), 0, 1))
	claim(t, d, db.ClaimRequest{Limit: 10})

	events, next := readAll(t, d, db.EventRequest{After: latest, Limit: 1})
	assert.Equal(t, []minoots.EventType{
		minoots.EventTimerScheduled, minoots.EventTimerScheduled,
		minoots.EventTimerFired, minoots.EventTimerFired, minoots.EventTimerSettled, minoots.EventTimerSettled,
	}, types(events))
	assert.Equal(t, ids[0], events[0].TimerID)

	again, _ := readAll(t, d, db.EventRequest{After: next, Limit: 100})
	assert.Empty(t, again, "a reader at the end has had everything")
	all, end := readAll(t, d, db.EventRequest{After: oldest(t, d), Limit: 4})
	assert.Equal(t, events, all)
	// Not at the same place to the transaction: those of other tests, in flight at
	// the first read, may have ended by the second.
	assert.GreaterOrEqual(t, end.Compare(next), 0)
	again, _ = readAll(t, d, db.EventRequest{After: end, Limit: 100})
	assert.Empty(t, again)
	assert.Negative(t, latest.Compare(next))

	one, _ := readAll(t, d, db.EventRequest{After: latest, Limit: 100, EventFilter: db.EventFilter{TenantID: tenant, TimerID: ids[1]}})
	assert.Len(t, one, 3)
	fired, _ := readAll(t, d, db.EventRequest{After: latest, Limit: 100, EventFilter: db.EventFilter{Types: []minoots.EventType{minoots.EventTimerFired}}})
	assert.Len(t, fired, 2)
	none, _ := readAll(t, d, db.EventRequest{After: latest, Limit: 100, EventFilter: db.EventFilter{TenantID: "other"}})
	assert.Empty(t, none)
}

func TestEventPageByLabel(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	start := oldest(t, d)
	labelled, bare := timerAt(past(d), 0, 1), timerAt(past(d), 0, 1)
	labelled.Spec.Labels = map[string]string{"session": "s-17", "team": "a"}
	ids := create(t, d, labelled, bare)
	events, _ := readAll(t, d, db.EventRequest{
		After: start, Limit: 10, WithLabels: true, EventFilter: db.EventFilter{Labels: map[string]string{"session": "s-17"}},
	})
	require.Len(t, events, 1)
	assert.Equal(t, ids[0], events[0].TimerID)
	assert.Equal(t, labelled.Spec.Labels, events[0].Labels)
}

// Retention tells whoever has missed something that it has, and nobody else.
func TestEventCursorsExpire(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	start := oldest(t, d)
	create(t, d, timerAt(past(d), 0, 1))
	events, middle := readAll(t, d, db.EventRequest{After: start, Limit: 10})
	require.Len(t, events, 1)
	create(t, d, timerAt(past(d), 0, 1))
	// A reader who knows of transactions in flight below the last event, of other
	// tests, cannot know whether what was dropped had theirs.
	require.Eventually(t, func() bool {
		return count(t, database, "SELECT (pg_snapshot_xmin(pg_current_snapshot()) > (SELECT xid FROM minoots.events ORDER BY xid DESC LIMIT 1))::int") == 1
	}, 20*time.Second, 5*time.Millisecond)
	_, end := readAll(t, d, db.EventRequest{After: middle, Limit: 10})

	// The partition of this week, as retention finds it one day.
	for became := db.Drop(""); became != db.DropDone; {
		_, err := database.Pool.Exec(t.Context(), "DELETE FROM minoots.firings")
		require.NoError(t, err)
		var name *string
		require.NoError(t, database.Pool.QueryRow(t.Context(), `
			SELECT partition, outcome FROM minoots.drop_partition(now() + interval '8 days',
				(SELECT max(partition) FROM minoots.history_partitions() WHERE parent = 'events' AND ends <= now()))`).Scan(&name, &became))
	}
	create(t, d, timerAt(past(d), 0, 1))

	for what, c := range map[string]db.EventCursor{"before all": start, "in the middle": middle} {
		_, err := d.EventPage(t.Context(), db.EventRequest{After: c, Limit: 10})
		require.Equal(t, minoots.CodeGone, minoots.ErrorCode(err), what)
		var expired *minoots.CursorExpiredError
		require.True(t, errors.As(err, &expired), what)
		oldest, err := db.ParseEventCursor(expired.Oldest)
		require.NoError(t, err)
		kept, _ := readAll(t, d, db.EventRequest{After: oldest, Limit: 10})
		assert.Len(t, kept, 1, what)
	}
	kept, _ := readAll(t, d, db.EventRequest{After: end, Limit: 10})
	assert.Len(t, kept, 1, "who had read all goes on")
}

func TestEventCursorsOfOtherLogs(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	create(t, d, timerAt(past(d), 0, 1), timerAt(past(d), 0, 1))
	before, end := readAll(t, d, db.EventRequest{After: oldest(t, d), Limit: 1})
	// As after a restore.
	var renewed int
	require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT minoots.renew_events()").Scan(&renewed))
	assert.Equal(t, 2, renewed)
	_, err := d.EventPage(t.Context(), db.EventRequest{After: end, Limit: 1})
	require.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(err))
	assert.Contains(t, err.Error(), "another log")
	after, _ := readAll(t, d, db.EventRequest{After: oldest(t, d), Limit: 1})
	require.Len(t, after, 2)
	for i := range after {
		assert.Equal(t, before[i].Event, after[i].Event)
	}
}
