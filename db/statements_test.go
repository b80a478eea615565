package db_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/testdb"
)

// statements reads db/query: the noun and its SQL.
func statements(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("query/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all[strings.TrimSuffix(filepath.Base(file), ".sql")] = string(text)
	}
	return all
}

// Postgres accepts every statement on the migrated schema, and what goes in and
// comes out is what the Go beside it was written for.
func TestStatementsSignatures(t *testing.T) {
	t.Parallel()
	conn := direct(t, testdb.New(t).URL)
	typeName := func(oid uint32) (name string) {
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT $1::oid::regtype::text", oid).Scan(&name))
		return name
	}
	all := statements(t)
	var golden strings.Builder
	for _, noun := range sorted(all) {
		prepared, err := conn.Prepare(t.Context(), noun, all[noun])
		if !assert.NoError(t, err, noun) {
			continue
		}
		params := make([]string, len(prepared.ParamOIDs))
		for i, oid := range prepared.ParamOIDs {
			params[i] = typeName(oid)
		}
		fmt.Fprintf(&golden, "%s(%s)\n", noun, strings.Join(params, ", "))
		for _, field := range prepared.Fields {
			fmt.Fprintf(&golden, "    %s %s\n", field.Name, typeName(field.DataTypeOID))
		}
	}
	compareGolden(t, "statements.golden", golden.String())
}

// direct gives one connection of its own.
func direct(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestStatementsAreEmbeddedOnce(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	embed := regexp.MustCompile(`(?m)^//go:embed (.+)\nvar (\w+) string$`)
	by := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		found := embed.FindAllSubmatch(text, -1)
		assert.Len(t, found, strings.Count(string(text), "\n//go:embed "), "%s: one file each, into a string", file)
		for _, f := range found {
			noun := strings.TrimSuffix(strings.TrimPrefix(string(f[1]), "query/"), ".sql")
			by[noun]++
			assert.Equal(t, camel(noun)+"SQL", string(f[2]), "%s: the variable has the statement's name", file)
		}
	}
	for noun := range statements(t) {
		assert.Equal(t, 1, by[noun], "query/%s.sql is embedded that many times", noun)
		delete(by, noun)
	}
	assert.Empty(t, by, "embedded, but not a statement")
}

// camel turns timer_claim into timerClaim.
func camel(noun string) string {
	parts := strings.Split(noun, "_")
	for i, part := range parts[1:] {
		parts[i+1] = strings.ToUpper(part[:1]) + part[1:]
	}
	return strings.Join(parts, "")
}

func TestStatementsSayWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	sentence := regexp.MustCompile(`^-- [A-Z][^\n]{8,}\n`)
	for noun, sql := range statements(t) {
		assert.Regexp(t, sentence, sql, "%s begins with a comment", noun)
		assert.Equal(t, 1, strings.Count(bare(sql), ";"), "%s is one statement", noun)
	}
}

// bare is a statement without comments and string literals.
func bare(sql string) string {
	sql = regexp.MustCompile(`--[^\n]*`).ReplaceAllString(sql, "")
	return regexp.MustCompile(`'[^']*'`).ReplaceAllString(sql, "''")
}

// A result with a star changes its shape with the table, under the feet of a
// replica that was built before the migration.
func TestStatementsNameTheirColumns(t *testing.T) {
	t.Parallel()
	for noun, sql := range statements(t) {
		assert.False(t, starred(sql), noun)
	}
	for _, sql := range []string{
		"SELECT * FROM minoots.timers", "WITH x AS (SELECT 1) SELECT x.* FROM x", "SELECT a, t.* FROM t", "DELETE FROM t RETURNING *",
	} {
		assert.True(t, starred(sql), sql)
	}
	for _, sql := range []string{"SELECT count(*) FROM t", "SELECT 2 * 3", "WITH x AS (SELECT * FROM unnest($1)) SELECT a * b FROM x", "SELECT 1 -- *"} {
		assert.False(t, starred(sql), sql)
	}
}

// starred tells whether a statement's own result has a star. Inside parentheses
// it is of no matter: there it is a count, or columns that the statement names.
func starred(sql string) bool {
	var outer strings.Builder
	depth := 0
	for _, r := range bare(sql) {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case depth == 0:
			outer.WriteRune(r)
		}
	}
	return regexp.MustCompile(`(?i)(\bselect|\breturning|,)\s+(\w+\.)?\*`).MatchString(outer.String())
}

// withoutTenant lists the statements on tenants' data that name no tenant, and why.
var withoutTenant = map[string]string{
	"timer_claim":         "the kernel fires whatever is due, of every tenant",
	"timer_rearm":         "the kernel's, in the fire transaction: of the timers whose rows it has just locked",
	"timer_next":          "the kernel's poll: an instant of any tenant's, and nothing else of the row",
	"timer_upcoming":      "the kernel's heap: instants only",
	"timer_backlog":       "the kernel's sweep: a number and the oldest instant, of any tenant's",
	"outcome_record":      "fenced by the running job; its rows carry the tenant that the fire gave them",
	"dead_letter_forget":  "retention goes by age",
	"attempt_ended":       "of the firings that the recorder has just ended; a tenant for each of a group",
	"firing_fail":         "the kernel's, in the fire transaction: of the firing that it has just made",
	"key_find":            "the key is what tells the tenant",
	"idempotency_forget":  "upkeep goes by age",
	"timer_forget":        "retention goes by age",
	"firing_forget":       "retention goes by age",
	"attempt_forget":      "retention goes by age",
	"event_forget":        "retention goes by age",
	"event_latest":        "the end of the log: a snapshot and a transaction's number",
	"lane_page":           "the workers' look at all queues; its rows carry their tenant",
	"destination_lock":    "by the queue, whose name is made of the tenant's",
	"destination_take":    "by the queue, whose name is made of the tenant's; the jobs carry their tenant",
	"destination_release": "by the queue, whose name is made of the tenant's",
	"timer_pick":          "names the tenants of all who wait: the rows of one are given to its own waiters only",

	"secret_keys":        "counts for the operator, and nothing of the rows",
	"secret_reseal_page": "the operator's change of his key goes through all rows",
	"secret_reseal":      "of the rows that secret_reseal_page has read",

	"acknowledgement_lock":   "the token is what tells the tenant",
	"acknowledgement_take":   "of the acknowledgement that acknowledgement_lock has locked; its rows carry the tenant",
	"acknowledgement_extend": "the token is what tells the tenant",
	"acknowledgement_expire": "the kernel's: what is overdue, of every tenant",
	"acknowledgement_forget": "upkeep goes by age",
	"replica_lost":           "whether anything is overdue, and nothing of the row",

	"subscription_update":   "of the row that subscription_lock has locked, by tenant",
	"subscription_status":   "of the row that subscription_lock has locked, by tenant",
	"subscription_after":    "places in the log, for the sender, which is of all tenants",
	"subscription_resuming": "the sender's: whichever is to go on",
	"delivery_dispatch":     "the sender's: each delivery of the subscription that it names, whose tenant was matched with the event's",
	"delivery_enqueue":      "of deliveries made waiting in this transaction; the jobs get their subscription's tenant",
	"delivery_resume":       "of the subscription that the sender has locked",
	"delivery_again":        "of the subscription that is locked, by tenant",
	"delivery_outcome":      "fenced by the running job",
	"subscription_match":    "the sender's: of the tenants of events",
	"subscription_create":   "inserts the tenant's id, from the row that it has locked",
	"delivery_forget":       "retention goes by age",
	"waiting_renew":         "of all tenants of which requests wait on a replica",

	"subscription_apart":       "the workers': of the subscription that a running job is of",
	"subscription_reseal_page": "the operator's change of his key goes through all rows",
	"subscription_reseal":      "of the rows that subscription_reseal_page has read",
}

// Every statement on tenants' data names the tenant: what it reads or changes by
// a condition, what it inserts by the column.
func TestStatementsNameTheTenant(t *testing.T) {
	t.Parallel()
	tables := tenantTables(t)
	require.Contains(t, tables, "timer_states")
	for noun, sql := range statements(t) {
		if strings.HasPrefix(noun, "audit_") {
			continue // an audit is the operator's, over all tenants
		}
		reason, listed := withoutTenant[noun]
		if listed {
			assert.NotEmpty(t, reason, noun)
		}
		assert.NotEqual(t, listed, namesTenant(sql, tables), "%s: names its tenant, or is listed with the reason", noun)
	}

	for sql, want := range map[string]bool{
		"SELECT id FROM minoots.timers WHERE id = $1":                                                                     false,
		"SELECT id FROM minoots.timers WHERE id = $1 AND tenant_id = $2":                                                  true,
		"SELECT id FROM minoots.timers -- tenant_id = $1":                                                                 false,
		"SELECT t.id FROM minoots.tenants":                                                                                true,
		"UPDATE minoots.timer_states SET status = ''":                                                                     false,
		"INSERT INTO minoots.timers (id) VALUES ($1)":                                                                     false,
		"INSERT INTO minoots.timers (id, tenant_id) VALUES ($1, $2)":                                                      true,
		"WITH x AS (SELECT id FROM minoots.timers) INSERT INTO minoots.events (timer_id, tenant_id) SELECT id, '' FROM x": false,
	} {
		assert.Equal(t, want, namesTenant(sql, tables), sql)
	}
}

func namesTenant(sql string, tables []string) bool {
	sql = bare(sql)
	inserts := regexp.MustCompile(`INSERT INTO minoots\.(\w+) \(([^)]*)\)`)
	for _, found := range inserts.FindAllStringSubmatch(sql, -1) {
		if slices.Contains(tables, found[1]) && !regexp.MustCompile(`\btenant_id\b`).MatchString(found[2]) {
			return false
		}
	}
	condition := regexp.MustCompile(`\btenant_id = \$\d`).MatchString(sql)
	for _, found := range regexp.MustCompile(`\b(?:FROM|JOIN|UPDATE) minoots\.(\w+)`).FindAllStringSubmatch(sql, -1) {
		if slices.Contains(tables, found[1]) && !condition {
			return false
		}
	}
	return true
}

// tenantTables lists the tables with a column tenant_id.
func tenantTables(t *testing.T) []string {
	t.Helper()
	rows, err := testdb.New(t).Pool.Query(t.Context(), `
		SELECT relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE relnamespace = 'minoots'::regnamespace AND relkind IN ('r', 'p') AND attname = 'tenant_id'`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}
