package db_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/cron"
)

// What SQL schedules with a recurrence is told to the kernels at once, and the
// claim that takes it computes its first instant and fires nothing: then it stands
// as the API would have made it.
func TestRecurringFromSQL(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	listener, other := direct(t, database.URL), direct(t, database.URL)
	_, err := listener.Exec(t.Context(), "LISTEN minoots_due")
	require.NoError(t, err)
	for _, recurrence := range []string{
		`{"cron": "0 9 * * MON-FRI", "timeZone": "Europe/Paris"}`,
		`{"cron": "*/5 * * * *", "dst": {"gap": "skip"}, "endAt": "2090-01-01T00:00:00.5+01:00"}`,
		`{"cron": "0 *\u2003* * * SUN", "dst": {"overlap": "last"}, "maxOccurrences": 3}`,
		`{"cron": "@HOURLY", "timeZone": null, "every": null}`,
		`{"every": "PT1H", "cron": "", "dst": {"gap": ""}, "timeZone": ""}`,
		`{"every": 90000, "startAt": "2020-01-01T00:00:00Z", "timeZone": "UTC"}`,
		`{"every": "1h", "startAt": "2090-01-01T00:00:00Z"}`,
	} {
		spec := strings.Replace(`{"recurrence": R, "jitterMs": 1000, "misfire": {"policy": "skip"}}`, "R", recurrence, 1)
		id := scheduleSQL(t, conn, spec)
		made := get(t, d, id)
		assert.Len(t, heard(t, listener, other), 1, "the kernels are to look at it now")
		assert.Equal(t, made.CreatedAt, made.FireAt)

		assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10}), "nothing fires")
		armed := get(t, d, id)
		var asked minoots.TimerSpec
		require.NoError(t, json.Unmarshal([]byte(spec), &asked))
		schedule, bad := cron.Check(*asked.Recurrence, made.CreatedAt.Time)
		require.Empty(t, bad, recurrence)
		first, ok := schedule.Next(made.CreatedAt.Time, 0)
		require.True(t, ok)
		assert.True(t, armed.FireAt.Equal(first), "%s: %s, want %s", recurrence, armed.FireAt, first)
		full := schedule.Recurrence()
		want, err := json.Marshal(full)
		require.NoError(t, err)
		got, err := json.Marshal(armed.Recurrence)
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(got), recurrence)
		assert.Equal(t, minoots.StatusScheduled, armed.Status)
		assert.Zero(t, armed.Occurrence)
		assert.Equal(t, 1, count(t, database, `
			SELECT count(*) FROM minoots.timer_states JOIN minoots.timers USING (id)
			WHERE id = $1 AND recurring AND unarmed IS NULL AND may_skip IS NULL AND due_at >= fire_at AND due_at < fire_at + interval '1 second'`, id), recurrence)
		cancelSQL(t, conn, id)
	}
}

// A misfire policy that can leave a firing out is marked for the claim, which
// looks at no other.
func TestScheduleMarksWhatMayBeSkipped(t *testing.T) {
	t.Parallel()
	database, _, conn := setupSQL(t)
	for misfire, want := range map[string]bool{
		`null`: false, `{"policy": "fire_once"}`: false, `{"policy": "fire_all", "maxLatenessMs": 0}`: false,
		`{"policy": "skip"}`: true, `{"policy": "fire_once", "maxLatenessMs": 1}`: true,
	} {
		id := scheduleSQL(t, conn, `{"duration": "1h", "misfire": `+misfire+`}`)
		marked := func() bool {
			return count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE id = $1 AND may_skip", id) == 1
		}
		assert.Equal(t, want, marked(), misfire)
		for _, when := range []string{`{"recurrence": {"every": "1h"}}`, `{"fireAt": "2090-01-01T00:00:00Z"}`} {
			done, code := reschedule(t, conn, id, when)
			require.True(t, done, code)
			assert.Equal(t, want && strings.Contains(when, "fireAt"), marked(), "%s %s", misfire, when)
		}
	}
}

// A timer is moved from firing once to again and again, and back.
func TestRescheduleToARecurrence(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	id := scheduleSQL(t, conn, farSpec)
	_, code := reschedule(t, conn, id, `{"recurrence": {"cron": "0 0 30 2 *"}}`)
	assert.Equal(t, "22023", code)
	_, code = reschedule(t, conn, id, `{"recurrence": {"every": "1h"}, "duration": "1h"}`)
	assert.Equal(t, "22023", code)

	done, code := reschedule(t, conn, id, `{"recurrence": {"every": "1h", "maxOccurrences": 2}}`)
	require.True(t, done, code)
	moved := get(t, d, id)
	assert.Nil(t, moved.Duration)
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10}), "its first instant is computed")
	armed := get(t, d, id)
	assert.Equal(t, time.Hour, armed.FireAt.Sub(moved.UpdatedAt.Time), "it counts from the call")
	assert.Equal(t, "1h", armed.Recurrence.Every.String())

	fired := claim(t, d, db.ClaimRequest{Limit: 10, Now: armed.FireAt.Time})
	require.Len(t, fired, 1)
	assert.Equal(t, 1, get(t, d, id).Occurrence)
	_, code = reschedule(t, conn, id, `{"recurrence": {"every": "1h", "maxOccurrences": 1}}`)
	assert.Equal(t, "22023", code, "there has been one")

	done, code = reschedule(t, conn, id, `{"fireAt": "2090-01-01T00:00:00Z"}`)
	require.True(t, done, code)
	once := get(t, d, id)
	assert.Nil(t, once.Recurrence)
	assert.Equal(t, "2090-01-01T00:00:00.000000Z", once.FireAt.String())
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE id = $1 AND NOT recurring AND unarmed IS NULL", id))
}
