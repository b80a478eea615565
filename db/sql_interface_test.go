package db_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/cron"
	"github.com/minoots/minoots/internal/jsonguard"
	"github.com/minoots/minoots/internal/testdb"
	"github.com/minoots/minoots/workers/action"
)

// minoots.schedule and the API must refuse the same. Three tests hold them
// together: the corpus, with a spec or more for every rule; the fields, which the
// SQL lists and the Go types are; and random changes of a good spec.

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

// judge says what Go and what SQL find wrong with a spec.
type judge struct {
	decoder  *jsonguard.Decoder[minoots.TimerSpec]
	registry *action.Registry
	conn     *pgx.Conn
	now      time.Time
}

// newJudge makes one that allows all private ranges, since SQL knows none to deny.
func newJudge(t testing.TB, conn *pgx.Conn) *judge {
	t.Helper()
	registry := action.NewRegistry(action.Config{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}})
	t.Cleanup(registry.Close)
	j := &judge{decoder: jsonguard.New[minoots.TimerSpec](minoots.MaxJSONDepth), registry: registry, conn: conn}
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT now()").Scan(&j.now))
	return j
}

// asGo reads and validates as the API does. early says that it did not come to
// its end: it decodes first, and judges values only of what decoded.
func (j *judge) asGo(raw []byte) (spec minoots.TimerSpec, bad []minoots.FieldError, early bool) {
	if len(raw) > minoots.MaxTimerBytes {
		return spec, []minoots.FieldError{{Message: fmt.Sprintf("must be at most %d bytes", minoots.MaxTimerBytes)}}, false
	}
	var refused *jsonguard.Error
	if errors.As(j.decoder.Decode(raw, &spec), &refused) {
		for _, f := range refused.Fields {
			bad = append(bad, minoots.FieldError(f))
		}
		return spec, bad, true
	}
	var invalid *minoots.Error
	if errors.As(spec.Validate(j.now, minoots.Checks{Parameters: j.registry.Check, Agent: j.binding, Recurrence: cron.CheckTimer}), &invalid) {
		bad = invalid.Fields
	}
	if spec.TenantID != "" && spec.TenantID != tenant {
		bad = append(bad, minoots.FieldError{Path: "tenantId", Message: "must be the tenant that the timer is scheduled for, or be left out"})
	}
	return spec, bad, slices.ContainsFunc(bad, func(f minoots.FieldError) bool {
		return slices.Contains(mistyped, f.Message) // then encoding/json has told the first of them
	})
}

// binding tells what is wrong with an agent's binding, but not with its template,
// which SQL cannot compile.
func (j *judge) binding(agent *minoots.AgentBinding) []minoots.FieldError {
	return slices.DeleteFunc(j.registry.CheckAgent(agent), func(f minoots.FieldError) bool {
		return strings.HasPrefix(f.Path, "payloadTemplate")
	})
}

var mistyped = []string{
	"must be a JSON object", "must be a string", "must be an object whose values are strings", "must be a whole number of milliseconds",
}

// asSQL schedules, as a statement of its own, and gives the mistakes that the
// error lists.
func (j *judge) asSQL(ctx context.Context, raw []byte) (id minoots.ID, bad []minoots.FieldError, err error) {
	err = j.conn.QueryRow(ctx, "SELECT minoots.schedule($1, $2)", tenant, string(raw)).Scan(&id)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "22023" {
		return id, nil, err
	}
	if err := json.Unmarshal([]byte(refused.Detail), &bad); err != nil {
		return id, nil, err
	}
	told := make([]string, len(bad))
	for i, f := range bad {
		told[i] = strings.TrimSpace(f.Path + " " + f.Message)
	}
	if want := "timer does not validate: " + strings.Join(told, "; "); refused.Message != want {
		return id, nil, fmt.Errorf("the message is %q, want %q", refused.Message, want)
	}
	return id, bad, nil
}

// differ says how the verdicts differ, "" if they do not. Where Go did not come
// to its end, SQL may tell more.
func differ(inGo, inSQL []minoots.FieldError, early bool) string {
	g, s := levelled(inGo), levelled(inSQL)
	same := slices.Equal(g, s)
	if early {
		same = len(g) > 0 && !slices.ContainsFunc(g, func(f minoots.FieldError) bool { return !slices.Contains(s, f) })
	}
	if same {
		return ""
	}
	return fmt.Sprintf("Go tells %q\nSQL tells %q", g, s)
}

// nowIs is the time, which the two take at different moments, and the version of
// the zones, which Go alone knows.
var nowIs = regexp.MustCompile(`\(now is [^)]*\)|at or after [-0-9T:.]+Z|occurrences? \([^)]*\)| \(20\d\d[a-z]\)`)

// cronFault is what both say of a field of a cron, before the sentence that each
// has of its own, and of one that never comes.
var cronFault = regexp.MustCompile(`^(?s:(second|minute|hour|day of month|month|day of week|never comes): .*|".*" is not known: .*)`)

// levelled sorts mistakes and levels what is different by nature: the time, what
// refuses the zone of an address, which of two headers that differ in case is the
// second, how %q and JSON write what is not ASCII, and the sentences on crons.
func levelled(bad []minoots.FieldError) []minoots.FieldError {
	out := slices.Clone(bad)
	for i := range out {
		f := &out[i]
		f.Message = nowIs.ReplaceAllString(f.Message, "")
		if strings.Contains(f.Message, "webhooks reach only public ones") { // with all ranges allowed, this is a zone
			f.Message = `is not a URL; want one such as "https://example.com/hook"`
		}
		if strings.HasSuffix(f.Message, "are the same here") {
			f.Path = strings.ToLower(f.Path)
		}
		if f.Path == "recurrence.cron" {
			f.Message = cronFault.ReplaceAllString(f.Message, "$1")
		}
		if strings.Contains(f.Message, `\`) {
			f.Message = f.Message[:strings.IndexByte(f.Message, '"')]
		}
	}
	slices.SortFunc(out, func(a, b minoots.FieldError) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return out
}

// pathsOf is the paths of mistakes, sorted, one a line.
func pathsOf(bad []minoots.FieldError) string {
	all := make([]string, len(bad))
	for i, f := range bad {
		all[i] = f.Path
	}
	return sortedLines(all)
}

func sortedLines(all []string) string { return strings.Join(slices.Sorted(slices.Values(all)), "\n") }

// setupSQL is setup with a tenant and a connection.
func setupSQL(t *testing.T) (*testdb.DB, *db.DB, *pgx.Conn) {
	t.Helper()
	database, d := setup(t)
	_, err := database.Pool.Exec(t.Context(), "INSERT INTO minoots.tenants (id) VALUES ($1), ('globex')", tenant)
	require.NoError(t, err)
	return database, d, direct(t, database.URL)
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

// spec_fields is what the Go types are.
func TestScheduleKnowsTheFields(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	types := []reflect.Type{reflect.TypeFor[minoots.TimerSpec]()}
	for i := 0; i < len(types); i++ {
		var want, got []string
		for f := range fieldsOf(types[i]) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			kind, inner := kindOf(f.Type)
			if inner != nil && !slices.Contains(types, inner) {
				types = append(types, inner)
			}
			if !strings.Contains(options, "omitempty") {
				kind += "!"
			}
			want = append(want, name+" "+kind)
		}
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.spec_fields($1)", types[i].Name()).Scan(&got))
		assert.Equal(t, want, got, types[i].Name())
	}
	assert.Len(t, types, 9)
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// kindOf is a type in the words of spec_fields, and the record in it.
func kindOf(t reflect.Type) (string, reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[minoots.Duration]():
		return "duration", nil
	case reflect.TypeFor[minoots.Instant]():
		return "instant", nil
	case reflect.TypeFor[json.RawMessage]():
		return "any", nil
	case reflect.TypeFor[map[string]string]():
		return "table", nil
	case reflect.TypeFor[[]string]():
		return "texts", nil
	case reflect.TypeFor[[]minoots.Action]():
		return "actions", t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		return t.Name(), t
	case reflect.String:
		return "text", nil
	case reflect.Float64:
		return "number", nil
	case reflect.Int, reflect.Int64:
		return "whole", nil
	default:
		return t.String(), nil
	}
}

// Random changes of a good spec: what one side takes, the other takes, and reads
// it alike.
func TestScheduleValidatesAlikeAtRandom(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	j := newJudge(t, conn)
	all := samples(t)
	base := all[slices.IndexFunc(all, func(s sample) bool { return s.Name == "everything" })].Spec
	rapid.Check(t, func(r *rapid.T) {
		for range 3 {
			tree := decodeTree(r, base)
			changes := rapid.IntRange(1, 3).Draw(r, "changes")
			for range changes {
				changes += changeSpec(r, tree)
			}
			raw, err := json.Marshal(tree)
			if err != nil {
				r.Fatal(err)
			}
			spec, inGo, early := j.asGo(raw)
			inSQL, same := j.check(r, raw, spec)
			if found := differ(withoutURLs(inGo), withoutURLs(inSQL), early && changes > 1); found != "" {
				r.Fatalf("%s\n%s", raw, found)
			}
			if len(inGo) == 0 && !same {
				r.Fatalf("read differently: %s", raw)
			}
		}
	})
}

// check asks check_timer, which is what schedule asks, and whether SQL reads the
// spec as Go did.
func (j *judge) check(r *rapid.T, raw []byte, spec minoots.TimerSpec) (bad []minoots.FieldError, same bool) {
	var duration *int64
	var bundle []byte
	if spec.Duration != nil {
		duration = (*int64)(spec.Duration)
	}
	if spec.ActionBundle != nil {
		bundle, _ = json.Marshal(spec.WithDefaults().ActionBundle)
	}
	var at *time.Time
	if spec.FireAt != nil {
		at = &spec.FireAt.Time
	}
	ctx := context.Background()
	var told []byte
	err := j.conn.QueryRow(ctx, "SELECT minoots.check_timer($1, $2)", tenant, string(raw)).Scan(&told)
	if err == nil {
		err = json.Unmarshal(told, &bad)
	}
	if err == nil && len(bad) == 0 {
		err = j.conn.QueryRow(ctx, `
			SELECT (minoots.parse_duration(spec -> 'duration')).nanos IS NOT DISTINCT FROM $2
				AND (minoots.parse_instant(spec -> 'fireAt')).instant IS NOT DISTINCT FROM $3
				AND CASE WHEN minoots.given(spec -> 'actionBundle') THEN minoots.bundle_of(spec -> 'actionBundle') END
					IS NOT DISTINCT FROM $4::jsonb
			FROM (SELECT $1::jsonb AS spec) s`, string(raw), duration, at, bundle).Scan(&same)
	}
	if err != nil {
		r.Fatalf("%s: %v", raw, err)
	}
	return bad, same
}

func decodeTree(r *rapid.T, raw []byte) (tree any) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		r.Fatal(err)
	}
	return tree
}

// spot is a place in a tree where a value can be set or removed.
type spot struct {
	key    string
	set    func(any)
	remove func()
}

// spots lists the fields and items of a tree, in an order that does not change.
func spots(tree any) (all []spot) {
	switch v := tree.(type) {
	case map[string]any:
		for _, key := range sorted(v) {
			all = append(all, spot{key, func(x any) { v[key] = x }, func() { delete(v, key) }})
			all = append(all, spots(v[key])...)
		}
	case []any:
		for i := range v {
			all = append(all, spot{"", func(x any) { v[i] = x }, func() { v[i] = map[string]any{} }})
			all = append(all, spots(v[i])...)
		}
	}
	return all
}

// changeSpec sets or removes one thing, or adds one, which may be one too many: it
// gives how many mistakes more than one it may make.
func changeSpec(r *rapid.T, tree any) (more int) {
	all := spots(tree)
	if len(all) == 0 {
		return 0
	}
	at := all[rapid.IntRange(0, len(all)-1).Draw(r, "spot")]
	switch rapid.IntRange(0, 9).Draw(r, "how") {
	case 0:
		at.remove()
	case 1:
		name := rapid.SampledFrom([]string{"x", "fireAt", "recurrence"}).Draw(r, "added")
		tree.(map[string]any)[name] = someValue(r, name)
		return 1
	default:
		at.set(someValue(r, at.key))
	}
	return 0
}

// withoutURLs drops what is said of URLs: which of two mistakes in one is told is
// left to each side. The corpus has a sentence for each.
func withoutURLs(bad []minoots.FieldError) []minoots.FieldError {
	bad = slices.Clone(bad)
	for i := range bad {
		if strings.HasSuffix(bad[i].Path, ".url") || bad[i].Path == "agentBinding.target" {
			bad[i].Message = ""
		}
	}
	return bad
}

// someValue is mostly of the sort that stands at the key.
func someValue(r *rapid.T, key string) any {
	if kind, ok := someOf[key]; ok && rapid.IntRange(0, 4).Draw(r, "sort") > 0 {
		return kind.Draw(r, key)
	}
	return someJSON.Draw(r, "value")
}

func joined(most int, pieces ...string) *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, most), func(s []string) string { return strings.Join(s, "") })
}

// inTurn takes one piece of each list.
func inTurn(lists ...[]string) *rapid.Generator[any] {
	return rapid.Custom(func(r *rapid.T) any {
		var b strings.Builder
		for _, list := range lists {
			b.WriteString(rapid.SampledFrom(list).Draw(r, "piece"))
		}
		return b.String()
	})
}

var (
	someNumber = rapid.Map(rapid.SampledFrom([]string{
		"0", "-0", "1", "-1", "2", "50", "99", "100", "101", "1.5", "0.5", "1.0", "100.5", "1000", "300000", "300001", "86400000", "86400001",
		"604800000", "604800001", "31536000000", "31536000001", "3155760000000", "3155760000001", "9223372036854775807", "9223372036854775808",
	}), func(s string) any { return json.Number(s) })
	someText = rapid.Map(joined(3, "a", "é", "😀", " ", "", "skip", "fire_once", "GET", "webhook", "https://example.com/", strings.Repeat("x", 250)), toAny)
	someJSON = rapid.OneOf(someNumber, someText, rapid.Custom(func(r *rapid.T) any {
		return rapid.SampledFrom([]func() any{
			func() any { return nil }, func() any { return true }, func() any { return map[string]any{} }, func() any { return []any{} },
			func() any { return map[string]any{"x": "y"} }, func() any { return []any{"x", nil} },
		}).Draw(r, "odd")()
	}))
	someDuration = rapid.OneOf(
		rapid.Map(joined(4, "1", "0", "05", "1.5", ".5", "7.", "h", "m", "s", "ms", "us", "µs", "ns", "d", "w", "-", " "), toAny),
		rapid.Map(joined(3, "1h", "2.5m", "0.001s", "3ms", "7us", "36500d", "25d", "1ns", "999999ns"), toAny),
		rapid.Map(rapid.Map(joined(6, "1", "2", "0,5", "1.5", "T", "T", "W", "D", "H", "M", "S", "Y"), func(s string) string { return "P" + s }), toAny),
		someNumber)
	someInstant = inTurn([]string{"2090", "2088", "2000", "2100", "0000", "1920", "9999"}, []string{"-"}, []string{"01", "02", "04", "12", "13", "00", "1"},
		[]string{"-"}, []string{"01", "28", "29", "30", "31", "32", "00"}, []string{"T", "T", "T", "t", " "}, []string{"00", "7", "23", "24"}, []string{":59:", ":00:", ":60:"},
		[]string{"00", "59", "60"}, []string{"", "", ".1", ".999999999", ".0000001", ",5", ".", ".1234567891"}, []string{"Z", "Z", "+01:00", "-23:59", "+24:60", "+25:00", "", "z", "+0100"})
	someURL = inTurn([]string{"https://", "https://", "http://", "HTTPS://", "https:/", "https:", "ftp://", "//", ""}, []string{"", "", "", "u@", "u:p@", "@"},
		[]string{"example.com", "ex%C3%A4.de", "é", "192.0.2.1", "127.1", "0x7f.1", "a_b", "1_0", "[::1]", "[1:2::3]", "[::1", "[1.2.3.4]", "a b", "a\\b", "a^b", "a:b", "%41", "", "..", "a.", "1."},
		[]string{"", "", ":8080", ":0", ":65536", ":", ":x", ":080"}, []string{"", "/", "/a b/c;d", "/%zz", "/%20", "/:@", "/[]{}"}, []string{"", "", "?a=%zz&b", "?", "#", "\n"})
	someHeaders = rapid.Custom(func(r *rapid.T) any {
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(r, "headers") {
			name := joined(2, "X", "-", "a", "host", "webhook-", " ", ":", "é").Draw(r, "name")
			m[name] = rapid.OneOf(rapid.Map(joined(2, "v", "\t", "\n", "\x7f", "é"), toAny), rapid.Just[any](nil)).Draw(r, "value")
		}
		return m
	})
	someLabels = rapid.Custom(func(r *rapid.T) any {
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(r, "labels") {
			m[joined(2, "k", ":", "é", strings.Repeat("y", 35)).Draw(r, "key")] = someText.Draw(r, "value")
		}
		return m
	})
	someID = rapid.Map(joined(3, "a", "Z", "0", "_", "-", ".", ":", " ", "é", strings.Repeat("i", 40)), toAny)
	someOf = map[string]*rapid.Generator[any]{
		"duration": someDuration, "fireAt": someInstant, "url": someURL, "target": someURL, "headers": someHeaders, "labels": someLabels, "id": someID,
		"concurrency": someNumber, "maxAttempts": someNumber, "backoffInitialMs": someNumber, "backoffMultiplier": someNumber, "backoffMaxMs": someNumber,
		"graceMs": someNumber, "maxLatenessMs": someNumber, "afterAttempts": someNumber, "jitterMs": someNumber, "timeoutMs": someNumber, "acknowledgementTimeoutMs": someNumber, "policy": someText, "kind": someText, "method": someText, "retryOn": rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"404", "redirect", "500", "dns", "", "299", "4044"}), 0, 3), func(s []string) any {
			list := []any{}
			for _, on := range s {
				list = append(list, on)
			}
			return list
		}), "onFailure": rapid.Map(rapid.SampledFrom([]string{"", "stop", "continue", "Stop"}), toAny),
	}
)

func toAny(s string) any { return s }

const (
	farSpec  = `{"duration": "1h", "actionBundle": {"actions": [{"id": "wake", "kind": "webhook", "parameters": {"url": "https://example.com/hook"}}]}}`
	soonSpec = `{"duration": "5s"}`
	pastSpec = `{"fireAt": "2020-01-01T00:00:00Z", "misfire": {"policy": "fire_once"}}`
)

// heard gives what a listener heard until now. Notifications come in the order of
// commits, so all that was committed before the mark has come when the mark has.
func heard(t *testing.T, listener, other *pgx.Conn) (payloads []string) {
	t.Helper()
	mark := minoots.NewID().String()
	_, err := other.Exec(t.Context(), "SELECT pg_notify('minoots_due', $1)", mark)
	require.NoError(t, err)
	for {
		n, err := listener.WaitForNotification(t.Context())
		require.NoError(t, err)
		if n.Payload == mark {
			return payloads
		}
		payloads = append(payloads, n.Payload)
	}
}

func TestScheduleIsPartOfTheCallersTransaction(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	listener, other := direct(t, database.URL), direct(t, database.URL)
	_, err := listener.Exec(t.Context(), "LISTEN minoots_due")
	require.NoError(t, err)
	exec := func(sql string) {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	rows := func() int {
		return count(t, database, "SELECT (SELECT count(*) FROM minoots.timers) + (SELECT count(*) FROM minoots.timer_states) + (SELECT count(*) FROM minoots.events)")
	}
	exec("CREATE TABLE orders (id int PRIMARY KEY, timer uuid)")

	exec("BEGIN; INSERT INTO orders VALUES (1, minoots.schedule('acme', '" + soonSpec + "')); SELECT minoots.cancel('acme', minoots.schedule('acme', '" + soonSpec + "'))")
	assert.Empty(t, heard(t, listener, other))
	exec("ROLLBACK")
	assert.Empty(t, heard(t, listener, other))
	assert.Zero(t, rows(), "nothing is there")

	exec("BEGIN; INSERT INTO orders VALUES (2, minoots.schedule('acme', '" + soonSpec + "')), (3, minoots.schedule('acme', '" + farSpec + "'))")
	assert.Empty(t, heard(t, listener, other))
	assert.Zero(t, rows(), "nobody else sees it")
	exec("COMMIT")
	assert.Equal(t, 6, rows())
	var id minoots.ID
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT timer FROM orders WHERE id = 2").Scan(&id))
	timer := get(t, d, id)
	assert.Equal(t, 5*time.Second, timer.FireAt.Sub(timer.CreatedAt.Time))
	assert.Equal(t, []string{strconv.FormatInt(timer.FireAt.UnixMicro(), 10)}, heard(t, listener, other), "of the near one, once")

	// As far as the kernels look ahead, and no farther.
	exec(fmt.Sprintf(`SELECT minoots.schedule('acme', '{"duration": %d}')`, (db.LookAhead - 2*time.Second).Milliseconds()))
	assert.Len(t, heard(t, listener, other), 1)
	exec(fmt.Sprintf(`SELECT minoots.schedule('acme', '{"duration": %d}')`, (db.LookAhead + 2*time.Second).Milliseconds()))
	assert.Empty(t, heard(t, listener, other))
	exec("SELECT minoots.schedule('acme', '" + pastSpec + "')")
	assert.Len(t, heard(t, listener, other), 1)
	fired := claim(t, d, db.ClaimRequest{Limit: 10})
	require.Len(t, fired, 1, "what is due fires")

	// What fires has all that its actions need.
	fired = claim(t, d, db.ClaimRequest{Limit: 10, Now: time.Now().Add(2 * time.Hour)})
	require.Len(t, fired, 4)
	last := fired[len(fired)-1]
	assert.Equal(t, minoots.DefaultRetryPolicy, *last.Bundle.RetryPolicy)
	assert.Equal(t, "wake", last.Bundle.Actions[0].ID)
	assert.Equal(t, 1, last.Bundle.Concurrency)
}

// detailOf is the detail of an error, "" if there is none.
func detailOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Detail
	}
	return ""
}

// sqlState is the SQLSTATE of an error, "" if there is none.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return fmt.Sprint(err)
}

func TestScheduleForNobody(t *testing.T) {
	t.Parallel()
	database, _, conn := setupSQL(t)
	for _, args := range []string{"'nobody', '" + farSpec + "'", "NULL, '" + farSpec + "'", "'', '" + farSpec + "'"} {
		_, err := conn.Exec(t.Context(), "SELECT minoots.schedule("+args+")")
		assert.Equal(t, "P0002", sqlState(err), args)
	}
	_, err := conn.Exec(t.Context(), "SELECT minoots.schedule('acme', NULL)")
	assert.Equal(t, "22023", sqlState(err), "not a NULL for an id")
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.timers"))
}

// A spec with as many mistakes as fit costs no more than a look at it, and the
// error lists a hundred of them.
func TestScheduleNamesTheFirstHundredMistakes(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	exec := func(sql string, args ...any) error { _, err := conn.Exec(t.Context(), sql, args...); return err }
	require.NoError(t, exec("SET statement_timeout = '5s'"))
	for at, part := range map[string]string{
		"":           `{"duration": "1h", ` + numbered(`"f%d": 1`, 20_000) + `}`,
		"parameters": `{"url": "https://example.com/", ` + numbered(`"f%d": 1`, 20_000) + `}`,
		"action":     strings.TrimSuffix(strings.Repeat(`{"id": 5, "x": 1}, `, 100), ", "),
		"labels":     `{"duration": "1h", "labels": {` + numbered(`"f%d": 1`, 20_000) + `}}`,
	} {
		s := sample{At: at, Spec: []byte(part)}
		if at != "labels" {
			s.place()
		}
		err := exec("SELECT minoots.schedule('acme', $1)", string(s.Spec))
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, at)
		require.Equal(t, "22023", refused.Code, at)
		var bad []minoots.FieldError
		require.NoError(t, json.Unmarshal([]byte(refused.Detail), &bad), at)
		assert.Len(t, bad, 100, at)
	}
}

func TestUUID7(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	before := time.Now()
	rows, err := conn.Query(t.Context(), "SELECT minoots.uuid7() FROM generate_series(1, 1000)")
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[minoots.ID])
	require.NoError(t, err)
	seen := map[minoots.ID]bool{}
	for i, id := range ids {
		assert.False(t, seen[id])
		seen[id] = true
		assert.EqualValues(t, 0x70, id[6]&0xf0, "version 7")
		assert.EqualValues(t, 0x80, id[8]&0xc0, "the variant of RFC 9562")
		assert.True(t, i == 0 || bytes.Compare(ids[i-1][:8], id[:8]) <= 0, "in the order of time")
	}
	assert.WithinDuration(t, before, time.UnixMilli(int64(binary.BigEndian.Uint64(ids[0][:8])>>16)), time.Minute)
}

func TestCancelFromSQL(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	cancel := func(tenant string, id minoots.ID, reason any) (bool, string) {
		var done bool
		err := conn.QueryRow(t.Context(), "SELECT minoots.cancel($1, $2, $3)", tenant, id, reason).Scan(&done)
		if err != nil {
			return false, sqlState(err)
		}
		return done, ""
	}
	schedule := func(spec string) (id minoots.ID) {
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.schedule('acme', $1)", spec).Scan(&id))
		return id
	}
	expect := func(done bool, code string) func(bool, string) {
		return func(gotDone bool, gotCode string) {
			t.Helper()
			assert.Equal(t, done, gotDone)
			assert.Equal(t, code, gotCode)
		}
	}

	id := schedule(farSpec)
	expect(false, "P0002")(cancel("globex", id, nil)) // another tenant's is none
	expect(false, "P0002")(cancel("acme", minoots.NewID(), nil))
	expect(false, "22023")(cancel("acme", id, strings.Repeat("é", 257)))
	assert.Equal(t, minoots.StatusScheduled, get(t, d, id).Status)

	expect(true, "")(cancel("acme", id, strings.Repeat("é", 256)))
	timer := get(t, d, id)
	assert.Equal(t, minoots.StatusCancelled, timer.Status)
	assert.Equal(t, strings.Repeat("é", 256), *timer.CancelReason)
	assert.NotNil(t, timer.CancelledAt)
	assert.EqualValues(t, 2, timer.Version)
	expect(false, "")(cancel("acme", id, "again"))
	assert.Equal(t, timer, get(t, d, id), "it stays as it was")
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.events WHERE timer_id = $1 AND type = 'timer.cancelled'", id))

	var done bool
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.cancel('acme', $1)", schedule(farSpec)).Scan(&done))
	assert.True(t, done, "without a reason")

	running, over := schedule(farSpec), schedule(pastSpec)
	claim(t, d, db.ClaimRequest{Limit: 10, Now: time.Now().Add(2 * time.Hour)})
	expect(false, "55000")(cancel("acme", running, nil))
	assert.Equal(t, minoots.StatusFired, get(t, d, running).Status)
	expect(false, "")(cancel("acme", over, nil))
}

// Of a cancel and a claim one wins, and the other sees it.
func TestCancelFromSQLAndClaim(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	due := strings.Replace(farSpec, `"duration": "1h"`, `"fireAt": "2020-01-01T00:00:00Z", "misfire": {"policy": "fire_once"}`, 1)
	schedule := func() (id minoots.ID) {
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.schedule('acme', $1)", due).Scan(&id))
		return id
	}

	// A claim steps over a cancel that has not ended, and takes the timer if it is taken back.
	first := schedule()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT minoots.cancel('acme', $1)", first)
	require.NoError(t, err)
	assert.Empty(t, claim(t, d, db.ClaimRequest{Limit: 10}))
	require.NoError(t, tx.Rollback(t.Context()))

	// A cancel waits for a claim that has not ended, and then sees that it lost.
	fired, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 10}, then(func(db.Tx, []db.Fired) error {
		_, err := conn.Exec(t.Context(), "SET lock_timeout = '50ms'")
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "SELECT minoots.cancel('acme', $1)", first)
		assert.Equal(t, "55P03", sqlState(err), "it waits")
		_, err = conn.Exec(t.Context(), "RESET lock_timeout")
		return err
	}))
	require.NoError(t, err)
	require.Len(t, fired, 1)
	_, err = conn.Exec(t.Context(), "SELECT minoots.cancel('acme', $1)", first)
	assert.Equal(t, "55000", sqlState(err))

	// And in a crowd.
	ids := make([]minoots.ID, 60)
	for i := range ids {
		ids[i] = schedule()
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[minoots.ID][]string{}
	win := func(id minoots.ID, by string) {
		mu.Lock()
		defer mu.Unlock()
		won[id] = append(won[id], by)
	}
	for half := range 2 {
		wg.Go(func() {
			for i := len(ids) - 1 - half; i >= 0; i -= 2 {
				var done bool
				err := database.Pool.QueryRow(t.Context(), "SELECT minoots.cancel('acme', $1)", ids[i]).Scan(&done)
				switch code := sqlState(err); {
				case err == nil && done:
					win(ids[i], "cancel")
				case code != "55000":
					t.Errorf("cancel gives %v, %v", done, err)
				}
			}
		})
		wg.Go(func() {
			for {
				fired, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 2}, then(func(db.Tx, []db.Fired) error { return nil }))
				if err != nil || len(fired) == 0 {
					assert.NoError(t, err)
					return
				}
				for _, f := range fired {
					win(f.ID, "claim")
				}
			}
		})
	}
	wg.Wait()
	for _, f := range claim(t, d, db.ClaimRequest{Limit: 100}) {
		win(f.ID, "claim")
	}
	for _, id := range ids {
		if assert.Len(t, won[id], 1, "exactly one wins") {
			want := map[string]minoots.Status{"cancel": minoots.StatusCancelled, "claim": minoots.StatusFired}[won[id][0]]
			assert.Equal(t, want, get(t, d, id).Status)
		}
	}
}

// minoots_scheduling may call the three functions and do nothing else; others may
// not even do that.
func TestSchedulingRole(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	as := func(role, sql string) string {
		_, err := conn.Exec(t.Context(), "SET ROLE "+role)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), sql)
		code := ""
		if err != nil {
			code = sqlState(err)
		}
		_, err = conn.Exec(t.Context(), "RESET ROLE")
		require.NoError(t, err)
		return code
	}
	const scheduling, stranger = "minoots_scheduling", "pg_signal_backend" // a role of Postgres' own, with no rights here
	calls := `SELECT minoots.cancel('acme', timer, 'changed my mind'), minoots.reschedule('acme', timer, '{"duration": "2h"}')
		FROM minoots.schedule('acme', '` + farSpec + `') timer`
	assert.Empty(t, as(scheduling, calls))
	assert.Equal(t, "42501", as(stranger, calls))
	_, err := conn.Exec(t.Context(), "GRANT USAGE ON SCHEMA minoots TO "+stranger)
	require.NoError(t, err)
	assert.Equal(t, "42501", as(stranger, calls), "the schema alone does not do")
	assert.Equal(t, "42501", as(scheduling, "CREATE TABLE minoots.mine ()"))

	rows, err := conn.Query(t.Context(), `
		SELECT format(command, oid::regclass) FROM pg_class,
			unnest(ARRAY['SELECT FROM %s', 'DELETE FROM %s', 'INSERT INTO %s DEFAULT VALUES']) command
		WHERE relnamespace IN ('minoots'::regnamespace, 'river'::regnamespace)
			AND (relkind IN ('r', 'p') OR relkind = 'v' AND command LIKE 'SELECT%')
		UNION ALL SELECT format('SELECT nextval(%L)', oid::regclass) FROM pg_class
		WHERE relnamespace = 'minoots'::regnamespace AND relkind = 'S'
		UNION ALL
		SELECT format('SELECT * FROM %s(%s)', oid::regproc, (SELECT string_agg(format('NULL::%s', format_type(a, NULL)), ', ') FROM unnest(proargtypes) a))
		FROM pg_proc WHERE pronamespace = 'minoots'::regnamespace AND proname NOT IN ('schedule', 'reschedule', 'cancel')
			AND prorettype <> 'trigger'::regtype -- Postgres lets nobody call those`)
	require.NoError(t, err)
	forbidden, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(forbidden), 80)
	for _, sql := range forbidden {
		assert.Equal(t, "42501", as(scheduling, sql), sql)
	}

	var owner, definer bool
	require.NoError(t, conn.QueryRow(t.Context(), `
		SELECT bool_and(proowner = (SELECT relowner FROM pg_class WHERE oid = 'minoots.timers'::regclass)),
			bool_and(prosecdef = (proname IN ('schedule', 'reschedule', 'cancel')) OR prorettype = 'trigger'::regtype)
		FROM pg_proc WHERE pronamespace = 'minoots'::regnamespace`).Scan(&owner, &definer))
	assert.True(t, owner, "the migrating user owns them")
	assert.True(t, definer, "the three run as their owner, and no other does")
}

// hostile is a session that tries to have its own things run as the owner: in a
// schema that comes first, in pg_temp, and by settings that change what text means.
const hostile = `
	CREATE SCHEMA hostile;
	GRANT ALL ON SCHEMA hostile TO minoots_scheduling;
	SET ROLE minoots_scheduling;
	CREATE FUNCTION hostile.trap() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END $$;
	CREATE FUNCTION hostile.equal(a text, b text) RETURNS boolean LANGUAGE sql AS $$ SELECT hostile.trap() = 'x' $$;
	CREATE OPERATOR hostile.= (FUNCTION = hostile.equal, LEFTARG = text, RIGHTARG = text);
	CREATE FUNCTION hostile.arrow(a jsonb, b text) RETURNS jsonb LANGUAGE sql AS $$ SELECT to_jsonb(hostile.trap()) $$;
	CREATE OPERATOR hostile.-> (FUNCTION = hostile.arrow, LEFTARG = jsonb, RIGHTARG = text);
	CREATE FUNCTION hostile.length(text) RETURNS integer LANGUAGE sql AS $$ SELECT hostile.trap()::integer $$;
	CREATE FUNCTION hostile.jsonb_typeof(jsonb) RETURNS text LANGUAGE sql AS $$ SELECT hostile.trap() $$;
	CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT hostile.trap()::timestamptz $$;
	CREATE FUNCTION hostile.pg_notify(text, text) RETURNS void LANGUAGE sql AS $$ SELECT hostile.trap() $$;
	CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT hostile.trap()::timestamptz $$;
	CREATE DOMAIN hostile.text AS pg_catalog.text CHECK (false);
	CREATE FUNCTION pg_temp.length(text) RETURNS integer LANGUAGE sql AS $$ SELECT hostile.trap()::integer $$;
	CREATE TEMP TABLE tenants (id text);
	CREATE TEMP TABLE timers (id uuid);
	CREATE TEMP TABLE pg_class (oid oid);
	SET search_path = hostile, pg_temp, minoots, pg_catalog;
	SET standard_conforming_strings = off;
	SET escape_string_warning = off;
	SET DateStyle = 'SQL, DMY';
	SET IntervalStyle = 'sql_standard';
	SET TimeZone = 'Asia/Kolkata';
	SET array_nulls = off;
	SET extra_float_digits = -15;
	SET bytea_output = 'escape';
	SET transform_null_equals = on;
	SET quote_all_identifiers = on;
	SET plan_cache_mode = force_custom_plan;
`

func TestHostileCaller(t *testing.T) {
	t.Parallel()
	_, d, conn := setupSQL(t)
	_, err := conn.Exec(t.Context(), hostile)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SELECT hostile.trap() OPERATOR(hostile.=) 'x'::pg_catalog.text")
	require.ErrorContains(t, err, "hijacked", "the trap works")
	const zoned = "an instant with a zone"

	for i, s := range samples(t) {
		if i%3 != 0 && s.Name != zoned {
			continue // the others would find no more
		}
		id, bad, err := (&judge{conn: conn}).asSQL(t.Context(), s.Spec)
		require.NoError(t, err, s.Name)
		assert.Equal(t, sortedLines(s.Problems), pathsOf(bad), s.Name)
		if s.Name == zoned {
			assert.Equal(t, "2089-12-31T18:30:00.000000Z", get(t, d, id).FireAt.String())
		}
	}
	var done bool
	var id minoots.ID
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT minoots.reschedule('acme', timer, '{"fireAt": "2090-01-01T00:00:00+05:30"}'), timer
		FROM minoots.schedule('acme', '`+soonSpec+`') timer`).Scan(&done, &id))
	assert.True(t, done)
	assert.Equal(t, "2089-12-31T18:30:00.000000Z", get(t, d, id).FireAt.String())
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.cancel('acme', $1, 'x')", id).Scan(&done))
	assert.True(t, done)
}

// docs/sql.md lists the views column by column, and its Go is as users write it.
func TestSQLIsDocumented(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	page, err := os.ReadFile("../docs/sql.md")
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), `
		SELECT c.relname, array_agg(a.attname::text ORDER BY a.attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		WHERE c.relnamespace = 'minoots'::regnamespace AND c.relkind = 'v' GROUP BY 1`)
	require.NoError(t, err)
	var view string
	var columns []string
	views := 0
	_, err = pgx.ForEachRow(rows, []any{&view, &columns}, func() error {
		views++
		_, section, found := strings.Cut(string(page), "### `minoots."+view+"`\n")
		if !assert.True(t, found, view) {
			return nil
		}
		section, _, _ = strings.Cut(section, "\n#")
		var listed []string
		for line := range strings.Lines(section) {
			if cells := strings.Split(line, "|"); len(cells) > 2 {
				for _, name := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(cells[1], -1) {
					listed = append(listed, name[1])
				}
			}
		}
		assert.Equal(t, sortedLines(columns), sortedLines(listed), view)
		return nil
	})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, views, 5)

	var timer minoots.ID
	at := minoots.InstantOf(time.Now().Add(time.Hour))
	require.NoError(t, pgx.BeginFunc(t.Context(), database.Pool, func(tx pgx.Tx) error {
		spec := minoots.TimerSpec{Name: "release", FireAt: &at, ActionBundle: &minoots.Bundle{Actions: []minoots.Action{{
			ID: "release", Kind: minoots.KindWebhook, Parameters: json.RawMessage(`{"url": "https://example.com/"}`),
		}}}}
		return tx.QueryRow(t.Context(), "SELECT minoots.schedule($1, $2)", tenant, spec).Scan(&timer)
	}))
	assert.Equal(t, at, get(t, d, timer).FireAt)
}

// The figures of docs/sql.md. Eight connections; each call is a transaction, but
// for those of 100. The last one is what the API's write takes, to compare.
func BenchmarkScheduleSQL(b *testing.B) {
	database := testdb.New(b)
	d, err := db.Connect(b.Context(), db.Config{URL: database.URL, Name: "bench", MaxConns: 8})
	require.NoError(b, err)
	defer d.Close()
	_, err = database.Pool.Exec(b.Context(), "INSERT INTO minoots.tenants (id) VALUES ('acme')")
	require.NoError(b, err)
	one := strings.Replace(farSpec, "{", `{"name": "resume-research", "requestedBy": "agent:planner", "labels": {"session": "s-17"}, "metadata": {"step": 3}, `, 1)
	near := strings.Replace(one, `"1h"`, `"20s"`, 1)
	var spec minoots.TimerSpec
	require.NoError(b, json.Unmarshal([]byte(one), &spec))
	call := func(sql, spec string) func() error {
		return func() error { _, err := database.Pool.Exec(b.Context(), sql, spec); return err }
	}
	for _, c := range []struct {
		name  string
		calls int
		run   func() error
	}{
		{"far", 1, call("SELECT minoots.schedule('acme', $1)", one)},
		{"near", 1, call("SELECT minoots.schedule('acme', $1)", near)},
		{"100 in a transaction", 100, call("SELECT minoots.schedule('acme', $1) FROM generate_series(1, 100)", one)},
		{"only the check", 100, call("SELECT minoots.check_timer('acme', $1) FROM generate_series(1, 100)", one)},
		{"by TimerCreate", 1, func() error {
			_, err := d.TimerCreate(b.Context(), []db.NewTimer{{ID: minoots.NewID(), TenantID: "acme", Spec: spec.WithDefaults()}})
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetParallelism(4)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := c.run(); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N*c.calls)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
