package db_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
        CASE WHEN i % 8 = 4 THEN jsonb_build_object('session', 's-' || i % 5000, 'many', 'yes') END
    FROM t
)
INSERT INTO minoots.timer_states (id, tenant_id, fire_at, due_at, held_due_at, paused_at, cancelled_at, failure_reason, updated_at, status, actions)
SELECT id, tenant, at, CASE WHEN waiting THEN at END, CASE status WHEN 'paused' THEN at END, CASE status WHEN 'paused' THEN now() END,
    CASE status WHEN 'cancelled' THEN now() END, CASE status WHEN 'failed' THEN 'x' END, now(), status, 1
FROM (SELECT *, CASE WHEN waiting THEN 'scheduled' WHEN i % 400 = 2 THEN 'paused' WHEN i % 400 = 6 THEN 'failed'
    WHEN i % 400 = 10 THEN 'cancelled' ELSE 'fired' END AS status FROM t) AS t;

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
	Cond     string  `json:"Index Cond"`
	Cost     float64 `json:"Total Cost"`
	Loops    *int    `json:"Actual Loops"`
	Rows     float64 `json:"Actual Rows"`
	Removed  float64 `json:"Rows Removed by Filter"`
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
