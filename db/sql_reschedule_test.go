package db_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// reschedule calls minoots.reschedule and gives what it returns, or the SQLSTATE.
func reschedule(t *testing.T, conn *pgx.Conn, id minoots.ID, spec string) (bool, string) {
	t.Helper()
	var done bool
	if err := conn.QueryRow(t.Context(), "SELECT minoots.reschedule('acme', $1, $2)", id, spec).Scan(&done); err != nil {
		return false, sqlState(err)
	}
	return done, ""
}

func scheduleSQL(t *testing.T, conn *pgx.Conn, spec string) (id minoots.ID) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.schedule('acme', $1)", spec).Scan(&id))
	return id
}

// What minoots.reschedule leaves is what a PATCH of the same time leaves, in every
// column but the instants of the two calls.
func TestRescheduleIsAPatch(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	const spec = `{"name": "n", "duration": "1h", "labels": {"a": "b"}, "metadata": {"x": [1, null]}, "misfire": {"policy": "fire_once"},
		"actionBundle": {"actions": [{"id": "wake", "kind": "webhook", "parameters": {"url": "https://example.com/hook"}}]}}`
	for _, c := range []struct {
		when   string
		paused bool
	}{
		{`{"duration": "2h"}`, false},
		{`{"duration": "PT1.0000015S", "fireAt": null}`, false},
		{`{"fireAt": "2090-01-01T00:00:00.0000001Z"}`, false},
		{`{"fireAt": "2020-01-01T00:00:00Z"}`, false},
		{`{"duration": "2h"}`, true},
		{`{"fireAt": "2090-01-01T00:00:00Z"}`, true},
	} {
		var when minoots.TimerSpec
		if err := json.Unmarshal([]byte(c.when), &when); err != nil {
			t.Fatal(err)
		}
		bySQL, byGo := scheduleSQL(t, conn, spec), scheduleSQL(t, conn, spec)
		if c.paused {
			for _, id := range []minoots.ID{bySQL, byGo} {
				_, err := d.TimerPause(t.Context(), tenant, id)
				require.NoError(t, err)
			}
		}
		before := get(t, d, byGo)
		full := minoots.TimerSpec{
			Name: before.Name, Labels: before.Labels, Metadata: before.Metadata, ActionBundle: before.ActionBundle,
			Misfire: before.Misfire, Duration: when.Duration, FireAt: when.FireAt,
		}
		_, err := d.TimerUpdate(t.Context(), tenant, byGo, db.TimerUpdate{Version: before.Version, Spec: full, MovesDue: true, Occurrence: 1})
		require.NoError(t, err)
		done, code := reschedule(t, conn, bySQL, c.when)
		require.Empty(t, code, c.when)
		require.True(t, done)

		got, want := get(t, d, bySQL), get(t, d, byGo)
		assert.Equal(t, want.Duration, got.Duration, c.when)
		assert.True(t, got.UpdatedAt.After(got.CreatedAt.Time))
		if when.FireAt == nil {
			assert.Equal(t, want.FireAt.Sub(want.UpdatedAt.Time), got.FireAt.Sub(got.UpdatedAt.Time), "it counts from the call")
			got.FireAt = want.FireAt
		}
		got.ID, got.CreatedAt, got.UpdatedAt = want.ID, want.CreatedAt, want.UpdatedAt
		text, err := json.Marshal(want)
		require.NoError(t, err)
		same, err := json.Marshal(got)
		require.NoError(t, err)
		assert.JSONEq(t, string(text), string(same), c.when)
		assert.Equal(t, 1, count(t, database, `
			SELECT count(*) FROM minoots.timer_states a JOIN minoots.timers ta USING (id), minoots.timer_states b JOIN minoots.timers tb USING (id)
			WHERE a.id = $1 AND b.id = $2
				AND (a.status, a.version, a.patched, ta.patched, a.actions) = (b.status, b.version, b.patched, tb.patched, b.actions)
				AND a.due_at IS NOT DISTINCT FROM CASE WHEN a.status = 'scheduled' THEN a.fire_at END
				AND a.held_due_at IS NOT DISTINCT FROM CASE WHEN a.status = 'paused' THEN a.fire_at END
				AND a.paused_at IS NOT DISTINCT FROM CASE WHEN a.status = 'paused' THEN a.updated_at END`, bySQL, byGo), c.when)
		var field string
		require.NoError(t, database.Pool.QueryRow(t.Context(), `
			SELECT data #>> '{fields,0}' FROM minoots.events
			WHERE timer_id = $1 AND type = 'timer.updated' AND data ->> 'by' = 'reschedule' AND json_array_length(data -> 'fields') = 1`, bySQL).Scan(&field))
		assert.Contains(t, c.when, field)
		cancelSQL(t, conn, bySQL, byGo)
	}
}

func cancelSQL(t *testing.T, conn *pgx.Conn, ids ...minoots.ID) {
	t.Helper()
	_, err := conn.Exec(t.Context(), "SELECT minoots.cancel('acme', id) FROM unnest($1::uuid[]) id", ids)
	require.NoError(t, err)
}

func TestRescheduleKeepsTheJittersWindow(t *testing.T) {
	t.Parallel()
	database, _, conn := setupSQL(t)
	distinct := map[time.Duration]bool{}
	for range 20 {
		id := scheduleSQL(t, conn, `{"duration": "1h", "jitterMs": 60000}`)
		offset := func() time.Duration {
			var us int64
			require.NoError(t, database.Pool.QueryRow(t.Context(),
				"SELECT (1000000 * extract(epoch FROM due_at - fire_at))::bigint FROM minoots.timer_states WHERE id = $1", id).Scan(&us))
			return time.Duration(us) * time.Microsecond
		}
		before := offset()
		done, code := reschedule(t, conn, id, `{"duration": "3h"}`)
		require.True(t, done, code)
		assert.Equal(t, before, offset(), "the same firing, the same place in its window")
		assert.Less(t, before, time.Minute)
		distinct[before] = true
	}
	assert.Greater(t, len(distinct), 15)
}

func TestRescheduleRefuses(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	id := scheduleSQL(t, conn, farSpec)
	before := get(t, d, id)
	for spec, paths := range map[string]string{
		`{}`:                                 "",
		`[]`:                                 "",
		`null`:                               "",
		`"2h"`:                               "",
		`{"duration": null}`:                 "",
		`{"duration": "soon"}`:               "duration",
		`{"duration": "0s"}`:                 "duration",
		`{"fireAt": "2001-01-01T00:00:00Z"}`: "fireAt",
		`{"fireAt": "tomorrow"}`:             "fireAt",
		`{"duration": "1h", "name": "x"}`:    "name",
		`{"duration": "1h", "misfire": {"policy": "fire_once"}}`:                           "misfire",
		`{"duration": "1h", "fireAt": "2090-01-01T00:00:00Z"}`:                             "",
		`{"duration": "1h", "name": "` + strings.Repeat("x", minoots.MaxTimerBytes) + `"}`: "",
	} {
		_, err := conn.Exec(t.Context(), "SELECT minoots.reschedule('acme', $1, $2)", id, spec)
		assert.Equal(t, "22023", sqlState(err), "%.60s", spec)
		assert.ErrorContains(t, err, "new time does not validate: ", "%.60s", spec)
		var bad []minoots.FieldError
		require.NoError(t, json.Unmarshal([]byte(detailOf(err)), &bad))
		assert.Equal(t, paths, pathsOf(bad), "%.60s", spec)
	}
	_, err := conn.Exec(t.Context(), "SELECT minoots.reschedule('acme', $1, NULL)", id)
	assert.Equal(t, "22023", sqlState(err))
	for _, args := range []string{"'globex', '" + id.String() + "'", "'acme', '" + minoots.NewID().String() + "'", "NULL, '" + id.String() + "'", "'acme', NULL"} {
		_, err := conn.Exec(t.Context(), "SELECT minoots.reschedule("+args+`, '{"duration": "2h"}')`)
		assert.Equal(t, "P0002", sqlState(err), args)
	}
	assert.Equal(t, before, get(t, d, id), "what is refused leaves it as it was")
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.updated'"))

	// Without a misfire policy of its own a timer may not be moved into the past; with one it may.
	done, code := reschedule(t, conn, scheduleSQL(t, conn, `{"duration": "1h", "misfire": {"policy": "skip", "graceMs": 60000}}`), `{"fireAt": "2001-01-01T00:00:00Z"}`)
	assert.False(t, done)
	assert.Equal(t, "22023", code)

	running, over := scheduleSQL(t, conn, farSpec), scheduleSQL(t, conn, pastSpec)
	claim(t, d, db.ClaimRequest{Limit: 10, Now: time.Now().Add(2 * time.Hour)})
	_, code = reschedule(t, conn, running, `{"duration": "2h"}`)
	assert.Equal(t, "55000", code)
	done, code = reschedule(t, conn, over, `{"duration": "2h"}`)
	assert.Empty(t, code)
	assert.False(t, done, "it is over")
	assert.Equal(t, minoots.StatusSettled, get(t, d, over).Status)
}

// Nothing of a transaction is seen, heard or fired before its commit, or ever, if
// it is taken back.
func TestRescheduleIsPartOfTheCallersTransaction(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	listener, other := direct(t, database.URL), direct(t, database.URL)
	_, err := listener.Exec(t.Context(), "LISTEN minoots_due")
	require.NoError(t, err)
	exec := func(sql string) {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	id := scheduleSQL(t, conn, farSpec)
	before := get(t, d, id)
	soon := fmt.Sprintf(`SELECT minoots.reschedule('acme', '%s', '{"duration": "5s"}')`, id)

	exec("BEGIN; " + soon)
	assert.Empty(t, heard(t, listener, other))
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10, Now: time.Now().Add(time.Minute)}))
	exec("ROLLBACK")
	assert.Equal(t, before, get(t, d, id))
	assert.Empty(t, heard(t, listener, other))
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10, Now: time.Now().Add(time.Minute)}))

	exec("BEGIN; " + soon + "; COMMIT")
	timer := get(t, d, id)
	assert.Equal(t, []string{strconv.FormatInt(timer.FireAt.UnixMicro(), 10)}, heard(t, listener, other), "of the near one")
	exec(fmt.Sprintf(`SELECT minoots.reschedule('acme', '%s', '{"duration": "2h"}')`, id))
	assert.Empty(t, heard(t, listener, other), "not of one that is far")
	_, err = d.TimerPause(t.Context(), tenant, id)
	require.NoError(t, err)
	exec(soon)
	assert.Empty(t, heard(t, listener, other), "nor of one that is paused")
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10, Now: time.Now().Add(time.Hour)}))
	resumed, err := d.TimerResume(t.Context(), tenant, id, minoots.ResumeFire)
	require.NoError(t, err)
	assert.True(t, resumed.Timer.FireAt.Equal(resumed.DueAt))
	assert.Len(t, claim(t, d, db.ClaimRequest{Limit: 10, Now: time.Now().Add(time.Minute)}), 1)
}

// Of a reschedule and a claim one is first: a timer that was moved away does not
// fire, and one that has fired is not moved.
func TestRescheduleAndClaim(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	const due = `{"fireAt": "2020-01-01T00:00:00Z", "misfire": {"policy": "fire_once"},
		"actionBundle": {"actions": [{"id": "wake", "kind": "webhook", "parameters": {"url": "https://example.com/hook"}}]}}`
	ids := make([]minoots.ID, 60)
	for i := range ids {
		ids[i] = scheduleSQL(t, conn, due)
	}
	raceSQLWithClaim(t, database, d, ids, `SELECT minoots.reschedule('acme', $1, '{"duration": "1h"}')`, minoots.StatusScheduled)
}
