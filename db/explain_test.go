package db_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/testdb"
)

// crowd is a database as a busy service has it: 200,000 timers, a tenth of them
// overdue, half of them finished, half of them one tenant's; firings in three
// weeks; jobs, keys.
const crowd = `
ALTER TABLE minoots.timers SET UNLOGGED; -- its WAL would be most of the test's time
ALTER TABLE minoots.timer_states SET UNLOGGED;
WITH t AS (
    SELECT i, ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid AS id,
        CASE WHEN i % 2 = 0 THEN 'acme' ELSE 'tenant-' || i % 40 END AS tenant,
        now() + (i - 20000) * interval '1 second' AS at, i % 4 < 2 AS waiting
    FROM generate_series(1, 200000) AS i
),
definitions AS (
    INSERT INTO minoots.timers (id, created_at, tenant_id, name, requested_by, labels)
    SELECT id, now(), tenant, CASE WHEN i % 8 = 0 THEN 'name-' || i % 5000 ELSE '' END,
        CASE WHEN i % 8 = 2 THEN 'agent-' || i % 5000 ELSE '' END,
        CASE WHEN i % 8 = 4 THEN jsonb_build_object('session', 's-' || i % 5000) END
    FROM t
)
INSERT INTO minoots.timer_states (id, tenant_id, fire_at, due_at, updated_at, status, actions)
SELECT id, tenant, at, CASE WHEN waiting THEN at END, now(), CASE WHEN waiting THEN 'scheduled' ELSE 'fired' END, 1
FROM t;

SELECT minoots.ensure_partitions(now() - interval '14 days', 1);
INSERT INTO minoots.firings (timer_id, due_at, fired_at, occurrence, actions, started, tenant_id, status)
SELECT id, now() - n % 3 * interval '7 days', now(), 1, 1, 1, tenant_id, 'running'
FROM (SELECT id, tenant_id, row_number() OVER () AS n FROM minoots.timer_states WHERE due_at IS NULL LIMIT 60000) AS s;
INSERT INTO river.river_job (kind, args, max_attempts, queue, state, attempt)
SELECT 'action', '{}', 5, 'webhook', 'available', 0 FROM generate_series(1, 20000);

INSERT INTO minoots.tenants (id) VALUES ('acme');
INSERT INTO minoots.api_keys (id, tenant_id, prefix, hash, roles)
SELECT gen_random_uuid(), 'acme', 'mk_', sha256(i::text::bytea), '{timer.read}' FROM generate_series(1, 5000) AS i;
INSERT INTO minoots.idempotency_keys (tenant_id, key, timer_id, fingerprint, created_at)
SELECT 'acme', 'key-' || i, gen_random_uuid(), '', now() FROM generate_series(1, 5000) AS i;
`

// burst is what the statistics know nothing of: jobs come and go within a second.
const burst = `
INSERT INTO river.river_job (kind, args, max_attempts, queue, state, attempt)
SELECT 'action', '{}', 5, 'webhook', 'running', 1 FROM generate_series(1, 500)`

// plans is a crowd and what to explain on it.
type plans struct {
	conn *pgx.Conn
	sql  map[string]string
	big  []string // relations with more than 1,000 rows: reading one whole is a mistake
}

func newPlans(t *testing.T) *plans {
	t.Helper()
	conn := direct(t, testdb.New(t).URL)
	for _, sql := range []string{crowd, "VACUUM (ANALYZE)", burst} {
		_, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
		require.NoError(t, err)
	}
	rows, err := conn.Query(t.Context(), "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > 1000")
	require.NoError(t, err)
	big, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, big, "timer_states")
	return &plans{conn: conn, sql: statements(t), big: big}
}

// node is a part of EXPLAIN (FORMAT JSON).
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Cost     float64 `json:"Total Cost"`
	Loops    *int    `json:"Actual Loops"`
	Plans    []node
}

// all lists the node and those below it.
func (n *node) all() []*node {
	list := []*node{n}
	for i := range n.Plans {
		list = append(list, n.Plans[i].all()...)
	}
	return list
}

// explain gives the plan of a statement with these arguments: the generic one,
// which pgx's prepared statements come to after five calls, or the one for the
// values, which the first five get, and all behind a pooler.
func (p *plans) explain(t *testing.T, noun, options, mode string, args []any) *node {
	t.Helper()
	prepared, err := p.conn.Prepare(t.Context(), noun, p.sql[noun])
	require.NoError(t, err)
	literals := make([]string, len(args))
	for i, arg := range args {
		b, err := p.conn.TypeMap().Encode(prepared.ParamOIDs[i], pgtype.TextFormatCode, arg, nil)
		require.NoError(t, err)
		literals[i] = "NULL"
		if b != nil {
			literals[i] = "'" + strings.ReplaceAll(string(b), "'", "''") + "'"
		}
	}
	execute := "EXECUTE " + noun
	if len(args) > 0 {
		execute += "(" + strings.Join(literals, ", ") + ")"
	}
	results, err := p.conn.PgConn().Exec(t.Context(), fmt.Sprintf(
		"BEGIN; SET LOCAL plan_cache_mode = %s; EXPLAIN (FORMAT JSON%s) %s; ROLLBACK", mode, options, execute)).ReadAll()
	require.NoError(t, err, noun)
	var out []struct{ Plan node }
	require.NoError(t, json.Unmarshal(results[2].Rows[0][0], &out))
	return &out[0].Plan
}

const generic, custom = "force_generic_plan", "force_custom_plan"

// dear is what no hot statement comes near, and a walk over a whole index, or a
// whole table, of the crowd passes.
const dear = 10_000

// problems holds a plan to the indexes that it must use; it may use more, but
// reads no big table whole, nor a whole index of one.
func (p *plans) problems(plan *node, indexes ...string) []string {
	var all []string
	used := plan.indexes()
	if plan.Cost > dear {
		all = append(all, fmt.Sprintf("costs %.0f", plan.Cost))
	}
	for _, n := range plan.all() {
		if n.Type == "Seq Scan" && slices.Contains(p.big, n.Relation) {
			all = append(all, "reads all of "+n.Relation)
		}
	}
	for _, index := range indexes {
		if !slices.Contains(used, index) {
			all = append(all, fmt.Sprintf("does not use %s, but %v", index, used))
		}
	}
	return all
}

func (n *node) indexes() []string {
	used := map[string]bool{}
	for _, n := range n.all() {
		if n.Index != "" {
			used[n.Index] = true
		}
	}
	return sorted(used)
}

func (p *plans) check(t *testing.T, what string, plan *node, indexes ...string) {
	t.Helper()
	assert.Empty(t, p.problems(plan, indexes...), what)
	t.Logf("%-36s cost %8.0f  %s", what, plan.Cost, strings.Join(plan.indexes(), " "))
}

func TestPlans(t *testing.T) {
	t.Parallel()
	p := newPlans(t)
	t.Run("hot statements", p.testHot)
	t.Run("pages", p.testPages)
	t.Run("outcomes", p.testOutcomes)
	t.Run("the checks see a bad plan", func(t *testing.T) {
		p.sql["bad"] = "SELECT id FROM minoots.timer_states WHERE failure_reason = $1"
		plan := p.explain(t, "bad", "", custom, []any{"x"})
		assert.Equal(t, []string{"reads all of timer_states", "does not use timer_states_due, but []"},
			p.problems(plan, "timer_states_due"))
		plan.Cost = dear + 1
		assert.Contains(t, p.problems(plan), "costs 10001")
	})
	t.Run("hot statements, told of 20 million timers", func(t *testing.T) {
		_, err := p.conn.Exec(t.Context(), `
			UPDATE pg_class SET reltuples = reltuples * 100 WHERE relnamespace = 'minoots'::regnamespace AND relname ~ '^timer'`)
		require.NoError(t, err)
		p.testHot(t)
	})
}

// The hot statements find what they need by the indexes that were made for them.
func (p *plans) testHot(t *testing.T) {
	now := time.Now()
	const id = "01900000-0000-7000-8000-000000000002"
	claims := []string{"timer_states_due", "timer_states_pkey", "timers_pkey"}
	for _, c := range []struct {
		noun    string
		args    []any
		indexes []string
	}{
		{"timer_claim", []any{now.Add(-time.Minute), 500, nil}, claims},
		{"timer_claim", []any{time.Time{}, 500, nil}, claims},
		{"timer_claim", []any{time.Time{}, 10_000, nil}, claims},
		{"timer_next", []any{now.Add(-time.Minute)}, claims[:1]},
		{"timer_upcoming", []any{now, now.Add(30 * time.Second), 10_000}, claims[:1]},
		{"timer_backlog", []any{100_000}, claims[:1]},
		{"timer_get", []any{id, tenant}, claims[1:]},
		{"timer_cancel", []any{id, tenant, nil, nil}, claims[1:2]},
		{"firing_page", []any{id, tenant, 0, 100}, nil},
		{"key_find", []any{make([]byte, 32)}, []string{"api_keys_hash_key"}},
		{"key_page", []any{tenant, id, 100}, []string{"api_keys_tenant"}},
		{"idempotency_find", []any{tenant, "key-17"}, []string{"idempotency_keys_pkey"}},
	} {
		for _, mode := range []string{generic, custom} {
			plan := p.explain(t, c.noun, "", mode, c.args)
			p.check(t, c.noun+" "+mode, plan, c.indexes...)
			if c.noun == "timer_upcoming" {
				assert.True(t, slices.ContainsFunc(plan.all(), func(n *node) bool { return n.Type == "Index Only Scan" }),
					"the heap is read from the index alone")
			}
		}
	}
}

// A plan that was made while a table was empty is kept, and meets the storm. So
// the pools' connections shun reading tables whole even then.
func TestPlansOfEmptyTables(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	p := &plans{conn: direct(t, database.URL), sql: statements(t), big: []string{"timers", "timer_states", "river_job"}}
	var seqScan, jit string
	require.NoError(t, d.Pool().QueryRow(t.Context(), "SELECT current_setting('enable_seqscan'), current_setting('jit')").Scan(&seqScan, &jit))
	_, err := p.conn.Exec(t.Context(), fmt.Sprintf("SET enable_seqscan = %s; SET jit = %s", seqScan, jit))
	require.NoError(t, err)
	for noun, args := range map[string][]any{
		"timer_claim":    {time.Time{}, 500, nil},
		"timer_get":      {minoots.ID{}.String(), tenant},
		"timer_cancel":   {minoots.ID{}.String(), tenant, nil, nil},
		"outcome_record": outcomeArgs([]int64{1}, []string{minoots.ID{}.String()}, []time.Time{time.Now()}),
	} {
		for _, mode := range []string{generic, custom} {
			p.check(t, noun+" "+mode, p.explain(t, noun, "", mode, args))
		}
	}
	assert.Equal(t, "off", jit, "compiling costs 100 ms, more than any of them")
}

// A page is planned for the filters that are on.
func (p *plans) testPages(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		set   map[int]any // the parameters that are not NULL
		index string
	}{
		"first page":  {nil, "timer_states_tenant"},
		"after":       {map[int]any{2: now, 3: "01900000-0000-7000-8000-000000000002"}, "timer_states_tenant"},
		"small":       {map[int]any{1: "tenant-7"}, "timer_states_tenant"},
		"none":        {map[int]any{1: "tenant-x"}, "timer_states_tenant"},
		"small, name": {map[int]any{1: "tenant-7", 5: "x"}, "timers_name"},
		"status":      {map[int]any{4: []string{"scheduled"}}, "timer_states_tenant"},
		"dueAfter":    {map[int]any{8: now.Add(time.Hour)}, "timer_states_tenant"},
		"dueBefore":   {map[int]any{9: now.Add(time.Hour)}, "timer_states_tenant"},
		"name":        {map[int]any{5: "name-48"}, "timers_name"},
		"requestedBy": {map[int]any{6: "agent-50"}, "timers_requested_by"},
		"label":       {map[int]any{7: `{"session": "s-4"}`}, "timers_labels"},
	} {
		args := []any{tenant, nil, "00000000-0000-0000-0000-000000000000", nil, nil, nil, nil, nil, nil, 100}
		for n, v := range c.set {
			args[n-1] = v
		}
		p.check(t, "timer_page "+name, p.explain(t, "timer_page", "", custom, args), c.index)
	}
}

// Outcomes find their firing in its own week: of the other partitions not one
// page is read.
func (p *plans) testOutcomes(t *testing.T) {
	const group = 50
	rows, err := p.conn.Query(t.Context(), `
		WITH f AS (SELECT timer_id, due_at, tableoid, row_number() OVER () AS n FROM minoots.firings
				WHERE due_at BETWEEN now() - interval '8 days' AND now() - interval '6 days' LIMIT $1),
			j AS (SELECT id, row_number() OVER () AS n FROM river.river_job WHERE state = 'running' LIMIT $1)
		SELECT f.timer_id::text, f.due_at, j.id, f.tableoid::regclass::text FROM f JOIN j USING (n)`, group)
	require.NoError(t, err)
	var timer, week string
	var due time.Time
	var job int64
	var timers []string
	var dues []time.Time
	var jobs []int64
	_, err = pgx.ForEachRow(rows, []any{&timer, &due, &job, &week}, func() error {
		timers, dues, jobs = append(timers, timer), append(dues, due), append(jobs, job)
		return nil
	})
	require.NoError(t, err)
	require.Len(t, jobs, group)
	args := outcomeArgs(jobs, timers, dues)
	for _, mode := range []string{generic, custom} {
		plan := p.explain(t, "outcome_record", ", ANALYZE", mode, args)
		week := strings.TrimPrefix(week, "minoots.")
		p.check(t, "outcome_record "+mode, plan, "river_job_pkey", "timer_states_pkey", week+"_pkey")
		assert.NotContains(t, plan.indexes(), "river_job_prioritized_fetching_index", "all running jobs are read")
		for _, n := range plan.all() {
			if strings.HasPrefix(n.Relation, "firings_") && n.Type != "ModifyTable" {
				assert.Equal(t, n.Relation == week, n.Loops != nil && *n.Loops > 0, "%s read, %s the week", n.Relation, week)
			}
		}
	}
}

// outcomeArgs are those of as many successes.
func outcomeArgs(jobs []int64, timers []string, dues []time.Time) []any {
	n := len(jobs)
	return []any{
		jobs, slices.Repeat([]int16{1}, n), slices.Repeat([]bool{true}, n), slices.Repeat([]bool{true}, n),
		timers, dues, slices.Repeat([]int32{1}, n), slices.Repeat([]string{tenant}, n),
		slices.Repeat([]string{"a"}, n), slices.Repeat([]string{"webhook"}, n), dues, dues,
		make([]*int32, n), make([]*string, n), make([]*string, n), make([]*string, n),
		make([]bool, n), "replica",
	}
}
