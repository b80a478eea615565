package db_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// sample is a line of testdata/specs.json: a spec and the paths of its mistakes.
type sample struct {
	Name string `json:"name"`
	// At, if not empty, is where in a good timer Spec stands and below which the
	// Problems are: bundle, action, parameters, policy or url.
	At       string          `json:"at"`
	Spec     json.RawMessage `json:"spec"`
	Problems []string        `json:"problems"`
	// Go is the paths that Go tells, where it is known to tell others, and Why.
	Go  []string `json:"go"`
	Why string   `json:"why"`
}

var places = map[string]struct{ path, around string }{
	"":           {"", `%s`},
	"bundle":     {"actionBundle", `{"duration": "1h", "actionBundle": %s}`},
	"action":     {"actionBundle.actions[0]", `{"duration": "1h", "actionBundle": {"actions": [%s]}}`},
	"policy":     {"actionBundle.retryPolicy", `{"duration": "1h", "actionBundle": {"actions": [], "retryPolicy": %s}}`},
	"parameters": {"actionBundle.actions[0].parameters", `{"duration": "1h", "actionBundle": {"actions": [{"id": "a", "kind": "webhook", "parameters": %s}]}}`},
	"url":        {"actionBundle.actions[0].parameters.url", `{"duration": "1h", "actionBundle": {"actions": [{"id": "a", "kind": "webhook", "parameters": {"url": %s}}]}}`},
}

// place puts the sample where it belongs.
func (s *sample) place() {
	at := places[s.At]
	s.Spec = fmt.Appendf(nil, at.around, s.Spec)
	for _, paths := range [][]string{s.Problems, s.Go} {
		for i, path := range paths {
			paths[i] = strings.Trim(at.path+"."+path, ".")
			if at.path == "" {
				paths[i] = path // "labels." ends in a point
			}
		}
	}
}

// The corpus writes what is long as {{text 99}}, text so many times, and, for a
// whole value, as "{{labels 64}}" and the like.
var (
	longValue = regexp.MustCompile(`"\{\{(labels|actions|nest|list|digits|ago) (\d+)\}\}"`)
	longText  = regexp.MustCompile(`\{\{([^}]+?) (\d+)\}\}`)
	longForms = map[string]func(n int) string{
		"nest":   func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) },
		"digits": func(n int) string { return strings.Repeat("1", n) },
		"list":   func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("[],", n), ",") + "]" },
		"ago": func(n int) string {
			return time.Now().Add(-time.Duration(n) * time.Second).UTC().Format(`"` + time.RFC3339Nano + `"`)
		},
		"labels": func(n int) string { return "{" + numbered(`"k%d":"v"`, n) + "}" },
		"actions": func(n int) string {
			return "[" + numbered(`{"id":"a%d","kind":"webhook","parameters":{"url":"https://example.com/"}}`, n) + "]"
		},
	}
)

func numbered(format string, n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(parts, ",")
}

// samples reads the corpus.
func samples(t testing.TB) []sample {
	t.Helper()
	text, err := os.ReadFile("testdata/specs.json")
	require.NoError(t, err)
	expand := func(pattern *regexp.Regexp, form func(kind string, n int) string) {
		text = pattern.ReplaceAllFunc(text, func(found []byte) []byte {
			parts := pattern.FindSubmatch(found)
			n, _ := strconv.Atoi(string(parts[2]))
			return []byte(form(string(parts[1]), n))
		})
	}
	expand(longValue, func(kind string, n int) string { return longForms[kind](n) })
	expand(longText, strings.Repeat)
	var all []sample
	require.NoError(t, json.Unmarshal(text, &all))
	for i := range all {
		all[i].place()
	}
	return all
}

func TestScheduleRefusesWhatTheAPIRefuses(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	j := newJudge(t, conn)
	var bySQL []minoots.ID
	var byGo []db.NewTimer
	recurring := 0
	for _, s := range samples(t) {
		id, inSQL, err := j.asSQL(t.Context(), s.Spec)
		require.NoError(t, err, s.Name)
		assert.Equal(t, sortedLines(s.Problems), pathsOf(inSQL), s.Name)

		spec, inGo, early := j.asGo(s.Spec)
		if s.Why != "" {
			assert.Equal(t, sortedLines(s.Go), pathsOf(inGo), "%s: %s", s.Name, s.Why)
			continue
		}
		assert.Empty(t, differ(inGo, inSQL, early), s.Name)
		if len(inGo) == 0 && len(inSQL) == 0 {
			if spec.Recurrence != nil {
				recurring++ // when it is due is not known yet: TestRecurringFromSQL
				continue
			}
			bySQL = append(bySQL, id)
			byGo = append(byGo, db.NewTimer{ID: minoots.NewID(), TenantID: tenant, Spec: spec.WithDefaults()})
		}
	}
	assert.Equal(t, len(bySQL)+recurring+2, count(t, database, "SELECT count(*) FROM minoots.timers"),
		"what is refused leaves nothing; two are accepted by SQL alone")
	assertStoredAlike(t, database, d, bySQL, byGo)
}

// assertStoredAlike holds timers that SQL wrote to those that Go writes for the
// same specs: as they are read, and in every column.
func assertStoredAlike(t *testing.T, database *testdb.DB, d *db.DB, ids []minoots.ID, timers []db.NewTimer) {
	t.Helper()
	twins := create(t, d, timers...)
	page, err := d.TimerPage(t.Context(), tenant, db.TimerPageRequest{Limit: 2*len(ids) + 10})
	require.NoError(t, err)
	read := map[minoots.ID]minoots.Timer{}
	for _, timer := range page {
		read[timer.ID] = timer
	}
	for i, id := range ids {
		bySQL, byGo := read[id], read[twins[i]]
		require.Equal(t, id, bySQL.ID)
		if byGo.Duration != nil {
			assert.Equal(t, byGo.FireAt.Sub(byGo.CreatedAt.Time), bySQL.FireAt.Sub(bySQL.CreatedAt.Time), byGo.Duration)
			bySQL.FireAt = byGo.FireAt
		}
		assert.Equal(t, bySQL.CreatedAt, bySQL.UpdatedAt)
		bySQL.ID, bySQL.CreatedAt, bySQL.UpdatedAt = byGo.ID, byGo.CreatedAt, byGo.UpdatedAt
		want, err := json.Marshal(byGo)
		require.NoError(t, err)
		got, err := json.Marshal(bySQL)
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(got))
	}
	// As the claim reads them; json has no equality, jsonb has.
	assert.Equal(t, len(ids), count(t, database, `
		SELECT count(*) FROM unnest($1::uuid[], $2::uuid[]) pair (a, b)
		JOIN minoots.timers a ON a.id = pair.a JOIN minoots.timer_states sa ON sa.id = pair.a
		JOIN minoots.timers b ON b.id = pair.b JOIN minoots.timer_states sb ON sb.id = pair.b
		JOIN minoots.events ea ON ea.timer_id = pair.a JOIN minoots.events eb ON eb.timer_id = pair.b
		WHERE (sa.actions, sa.status, sa.version, sa.occurrence, sa.recurring, sa.tenant_id) = (sb.actions, sb.status, sb.version, sb.occurrence, sb.recurring, sb.tenant_id)
			AND (a.jitter_ms, a.tenant_id, a.name, a.requested_by) = (b.jitter_ms, b.tenant_id, b.name, b.requested_by)
			AND a.bundle::jsonb IS NOT DISTINCT FROM b.bundle::jsonb AND a.agent_binding::jsonb IS NOT DISTINCT FROM b.agent_binding::jsonb
			AND a.misfire::jsonb IS NOT DISTINCT FROM b.misfire::jsonb AND a.labels IS NOT DISTINCT FROM b.labels
			AND a.metadata::jsonb IS NOT DISTINCT FROM b.metadata::jsonb AND a.duration_us IS NOT DISTINCT FROM b.duration_us
			AND sa.due_at >= sa.fire_at AND sa.due_at <= sa.fire_at + a.jitter_ms * interval '1 millisecond'
			AND (ea.type, ea.tenant_id, ea.occurrence) = (eb.type, eb.tenant_id, eb.occurrence)
			AND ea.data::jsonb IS NOT DISTINCT FROM eb.data::jsonb`, ids, twins))
	// One by one is the door that users have.
	timer := get(t, d, ids[0])
	assert.Equal(t, read[ids[0]], timer)
}
