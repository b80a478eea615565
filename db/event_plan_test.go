package db_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/testdb"
)

// oldEvents is a log of 200,000 events, written while one transaction stays open,
// by two hundred others.
const oldEvents = `
DO $$ BEGIN
	FOR i IN 1..200 LOOP
		INSERT INTO minoots.events (timer_id, tenant_id, type)
		SELECT gen_random_uuid(), 'acme', 'timer.updated' FROM generate_series(1, 1000);
		COMMIT;
	END LOOP;
END $$`

// A page at the end of a long log reads what is new and looks up what was in
// flight, and no more: beside a transaction that has been open for all of it.
func TestEventPagePlan(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	open := direct(t, database.URL)
	tx, err := open.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO minoots.events (timer_id, tenant_id, type) VALUES (gen_random_uuid(), 'acme', 'timer.paused')")
	require.NoError(t, err)
	conn := direct(t, database.URL)
	_, err = conn.Exec(t.Context(), "SET enable_seqscan = off") // as every pool has it
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), oldEvents)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "VACUUM (ANALYZE) minoots.events")
	require.NoError(t, err)

	var before string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT pg_current_snapshot()::text").Scan(&before))
	_, err = conn.Exec(t.Context(), `INSERT INTO minoots.events (timer_id, tenant_id, type)
		SELECT gen_random_uuid(), 'acme', 'timer.updated' FROM generate_series(1, 50)`)
	require.NoError(t, err)
	p := &plans{conn: conn, sql: statements(t)}
	args := []any{before, nil, 0, 1000, nil, nil, nil, false, nil}
	for _, c := range []struct {
		what string
		rows float64
	}{{"beside the open transaction", 50}, {"when it has ended", 51}} {
		for _, mode := range []string{generic, custom} {
			plan := p.explain(t, "event_page", ", ANALYZE", mode, args)
			most := 0.0
			for _, n := range plan.all() {
				if n.Relation == "" {
					continue
				}
				assert.Contains(t, []string{"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, orSmall(n), "%s, %s: %s", c.what, mode, n.Relation)
				most = max(most, n.read())
			}
			assert.LessOrEqual(t, most, c.rows, "%s, %s", c.what, mode)
		}
		if c.rows == 50 {
			require.NoError(t, tx.Commit(t.Context()))
		}
	}
	results, err := conn.PgConn().Exec(t.Context(), fmt.Sprintf(
		"EXPLAIN (ANALYZE, FORMAT JSON) SELECT seq FROM minoots.events WHERE xid >= pg_snapshot_xmin('%s')", before)).ReadAll()
	require.NoError(t, err)
	var out []struct{ Plan node }
	require.NoError(t, json.Unmarshal(results[0].Rows[0][0], &out))
	most := 0.0
	for _, n := range out[0].Plan.all() {
		most = max(most, n.read())
	}
	assert.Greater(t, most, 100_000.0, "the check sees what a reader that goes by xmin reads")
}

// orSmall takes the table of one row, and what was not looked at, for an index
// scan.
func orSmall(n *node) string {
	if n.Relation == "event_log" || n.Loops != nil && *n.Loops == 0 {
		return "Index Scan"
	}
	return n.Type
}

// read is how many rows a part of a plan has looked at, also those that it let go.
func (n *node) read() float64 {
	if n.Loops == nil {
		return 0
	}
	return (n.Rows + n.Removed) * float64(*n.Loops)
}
