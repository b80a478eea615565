package endtoend_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// disagreements tells how what a door told differs from the log: events that are
// missing, not in the log, told twice or otherwise, and timers whose events came
// in another order.
func disagreements(log, told []minoots.Event) (bad []string) {
	want := map[string]string{}
	for _, e := range log {
		want[e.ID] = envelope(&e)
	}
	had := map[string]bool{}
	for _, e := range told {
		switch text, known := want[e.ID]; {
		case !known:
			bad = append(bad, "not in the log: "+envelope(&e))
		case had[e.ID]:
			bad = append(bad, "twice: "+text)
		case text != envelope(&e):
			bad = append(bad, "otherwise: "+envelope(&e)+", not "+text)
		}
		had[e.ID] = true
	}
	for _, e := range log {
		if !had[e.ID] {
			bad = append(bad, "missing: "+want[e.ID])
		}
	}
	logged, came := byTimer(log), byTimer(told)
	for id, events := range logged {
		if len(bad) == 0 && !slices.Equal(events, came[id]) {
			bad = append(bad, fmt.Sprintf("order of timer %s: %v, not %v", id, came[id], events))
		}
	}
	return bad
}

// envelope is an event as text, without differences that mean nothing, such as the
// order of its data's fields.
func envelope(e *minoots.Event) string {
	text, err := json.Marshal(e)
	var fields map[string]any
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	if err == nil {
		text, err = json.Marshal(fields)
	}
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func byTimer(events []minoots.Event) map[minoots.ID][]string {
	of := map[minoots.ID][]string{}
	for _, e := range events {
		of[e.TimerID] = append(of[e.TimerID], e.ID)
	}
	return of
}

// A judge that finds nothing must be able to find something.
func TestDisagreements(t *testing.T) {
	t.Parallel()
	one, other := minoots.NewID(), minoots.NewID()
	log := []minoots.Event{
		{ID: "1", TimerID: one, Type: minoots.EventTimerScheduled}, {ID: "2", TimerID: other, Type: minoots.EventTimerScheduled},
		{ID: "3", TimerID: one, Type: minoots.EventTimerFired, Data: []byte(`{"a" : 1}`)},
	}
	compact := log[2]
	compact.Data = []byte(`{"a":1}`)
	assert.Empty(t, disagreements(log, []minoots.Event{log[1], log[0], compact}))
	changed := log[1]
	changed.Occurrence = 1
	for says, told := range map[string][]minoots.Event{
		"missing":   log[:2],
		"twice":     append(slices.Clone(log), log[0]),
		"not in":    append(slices.Clone(log), minoots.Event{ID: "4", TimerID: one}),
		"otherwise": {log[0], changed, log[2]},
		"order":     {log[2], log[1], log[0]},
	} {
		bad := disagreements(log, told)
		require.Len(t, bad, 1, says)
		assert.Contains(t, bad[0], says)
	}
}

// rowsSQL is what must have been told of each timer, by the rows that say what has
// become of it: one line an event.
const rowsSQL = `
SELECT id, 'timer.scheduled' FROM minoots.timers
UNION ALL SELECT id, 'timer.cancelled' FROM minoots.timer_states WHERE cancelled_at IS NOT NULL
UNION ALL SELECT timer_id, 'timer.fired/' || occurrence FROM minoots.firings
UNION ALL SELECT timer_id, 'timer.' || status || '/' || occurrence FROM minoots.firings WHERE status <> 'running'
UNION ALL SELECT timer_id, concat_ws('/', CASE status WHEN 'succeeded' THEN 'action.succeeded' ELSE 'action.failed' END,
    occurrence, action_id, attempt, (status <> 'retrying')::text) FROM minoots.attempts
UNION ALL SELECT timer_id, concat_ws('/', 'action.dead_lettered', occurrence, action_id, attempts) FROM minoots.dead_letters`

// lineOf is an event as rowsSQL has it.
func lineOf(e *minoots.Event) string {
	var data struct {
		ActionID string `json:"actionId"`
		Attempt  int    `json:"attempt"`
		Final    *bool  `json:"final"`
	}
	if strings.HasPrefix(string(e.Type), "action.") {
		_ = json.Unmarshal(e.Data, &data) // what is not there is a difference
	}
	line := []string{string(e.Type)}
	if e.Occurrence > 0 {
		line = append(line, strconv.Itoa(e.Occurrence))
	}
	if data.ActionID != "" {
		line = append(line, data.ActionID, strconv.Itoa(data.Attempt))
	}
	if data.Final != nil {
		line = append(line, strconv.FormatBool(*data.Final))
	}
	return strings.Join(line, "/")
}

// ends is how a timer of each kind ends, and what it went through, but for
// attempts that a killed replica took with it.
var ends = map[kind]struct {
	status minoots.Status
	story  []string
}{
	kindPlain: {minoots.StatusSettled, []string{"timer.scheduled", "timer.fired", "action.succeeded", "timer.settled"}},
	kindSlow:  {minoots.StatusSettled, []string{"timer.scheduled", "timer.fired", "action.succeeded", "timer.settled"}},
	kindRecurring: {minoots.StatusSettled, []string{
		"timer.scheduled", "timer.fired", "action.succeeded", "timer.settled",
		"timer.fired", "action.succeeded", "timer.settled", "timer.fired", "action.succeeded", "timer.settled",
	}},
	kindBundle:    {minoots.StatusSettled, []string{"timer.scheduled", "timer.fired", "action.succeeded", "action.succeeded", "timer.settled"}},
	kindCancelled: {minoots.StatusCancelled, []string{"timer.scheduled", "timer.cancelled"}},
	kindPaused: {minoots.StatusSettled, []string{
		"timer.scheduled", "timer.paused", "timer.resumed", "timer.fired", "action.succeeded", "timer.settled",
	}},
	kindReplayed: {minoots.StatusSettled, []string{
		"timer.scheduled", "timer.fired", "action.succeeded", "timer.settled",
		"timer.replayed", "timer.fired", "action.succeeded", "timer.settled",
	}},
	kindRetried: {minoots.StatusSettled, []string{"timer.scheduled", "timer.fired", "action.failed", "action.succeeded", "timer.settled"}},
	kindDead: {minoots.StatusFailed, []string{
		"timer.scheduled", "timer.fired", "action.failed", "action.dead_lettered", "timer.failed",
	}},
}

// assertRows holds the log to the tables, and each timer's story to its kind.
func (w *world) assertRows(log []minoots.Event, timers []*timer) {
	w.Helper()
	rows := map[minoots.ID][]string{}
	w.each(rowsSQL, func(id, line string) { rows[w.parse(id)] = append(rows[w.parse(id)], line) })
	status := map[minoots.ID]minoots.Status{}
	w.each("SELECT id, status FROM minoots.timer_states", func(id, s string) { status[w.parse(id)] = minoots.Status(s) })
	lost := map[minoots.ID]int{}
	w.each("SELECT timer_id, action_id FROM minoots.attempts WHERE error_class = 'lost'", func(id, _ string) { lost[w.parse(id)]++ })

	require.Len(w, rows, len(timers), "timers, none made twice")
	told := map[minoots.ID][]minoots.Event{}
	for _, e := range log {
		told[e.TimerID] = append(told[e.TimerID], e)
	}
	for _, m := range timers {
		var lines, story []string
		for _, e := range told[m.id] {
			lines, story = append(lines, lineOf(&e)), append(story, string(e.Type))
		}
		want := rows[m.id]
		switch m.kind { // of these no row is kept
		case kindPaused:
			want = append(want, "timer.paused", "timer.resumed")
		case kindReplayed:
			want = append(want, "timer.replayed/1")
		}
		assert.ElementsMatch(w, want, lines, "%s: rows and events", m.name())
		require.NotEmpty(w, story, m.name())
		end := ends[m.kind]
		assert.Equal(w, end.status, status[m.id], m.name())
		assert.Equal(w, "timer."+string(status[m.id]), story[len(story)-1], "%s: the last event", m.name())
		switch {
		case m.kind == kindRecurring: // an occurrence may be due while the one before runs
			assert.ElementsMatch(w, end.story, withoutLost(story, lost[m.id]), m.name())
		case m.kind == kindRetried && lost[m.id] > 0: // the 503 may be what was lost
		default:
			assert.Equal(w, end.story, withoutLost(story, lost[m.id]), m.name())
		}
	}
}

// withoutLost leaves out the events of attempts that a killed replica took with it.
func withoutLost(story []string, lost int) (kept []string) {
	for _, word := range story {
		if word == "action.failed" && lost > 0 {
			lost--
			continue
		}
		kept = append(kept, word)
	}
	return kept
}

func (w *world) parse(id string) minoots.ID {
	parsed, err := minoots.ParseID(id)
	require.NoError(w, err)
	return parsed
}

// each reads rows of two columns.
func (w *world) each(sql string, take func(a, b string)) {
	w.Helper()
	rows, err := w.database.Pool.Query(w.Context(), "SELECT a::text, b::text FROM ("+sql+") x(a, b)")
	require.NoError(w, err)
	defer rows.Close()
	for rows.Next() {
		var a, b string
		require.NoError(w, rows.Scan(&a, &b))
		take(a, b)
	}
	require.NoError(w, rows.Err())
}
