package db_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// empty gives a database without our schemas.
func empty(t *testing.T) *testdb.DB {
	t.Helper()
	database := testdb.New(t)
	_, err := database.Pool.Exec(t.Context(), "DROP SCHEMA minoots, river CASCADE")
	require.NoError(t, err)
	return database
}

// A deployment starts all its pods at once.
func TestMigrateUpByManyAtOnce(t *testing.T) {
	t.Parallel()
	database := empty(t)
	d := connect(t, database.URL)
	pending, err := d.MigrationsPending(t.Context())
	require.NoError(t, err, "an empty database is no fault")
	require.True(t, pending)

	var g errgroup.Group
	for range 8 {
		g.Go(func() error { return db.MigrateUp(t.Context(), database.URL) })
	}
	require.NoError(t, g.Wait())

	rows, err := database.Pool.Query(t.Context(), "SELECT version_id FROM minoots.schema_versions WHERE version_id > 0 AND is_applied ORDER BY 1")
	require.NoError(t, err)
	versions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	all, err := db.MigrateStatus(t.Context(), database.URL)
	require.NoError(t, err)
	require.Len(t, versions, len(all), "each once")
	for i, m := range all {
		assert.Equal(t, m.Version, versions[i])
		assert.NotNil(t, m.AppliedAt, m.Name)
	}
	assert.Equal(t, db.LatestMigration(), all[len(all)-1].Version)
	compareGolden(t, "schema.golden", dumpSchema(t, database.Pool))

	pending, err = d.MigrationsPending(t.Context())
	require.NoError(t, err)
	assert.False(t, pending)
	require.NoError(t, db.MigrateUp(t.Context(), database.URL), "there is nothing to do")
}

func TestMigrateDownAndUp(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	create(t, d, timerAt(past(d), 1, 1))
	claim(t, d, db.ClaimRequest{Limit: 1}) // rows in the partitions too
	all, err := db.MigrateStatus(t.Context(), database.URL)
	require.NoError(t, err)
	for i := len(all) - 1; i >= 0; i-- {
		require.NoError(t, db.MigrateDown(t.Context(), database.URL), all[i].Name)
		pending, err := d.MigrationsPending(t.Context())
		require.NoError(t, err)
		require.True(t, pending)
	}
	assert.Zero(t, count(t, database, `
		SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
		WHERE nspname IN ('minoots', 'river') AND relname !~ '^schema_(versions|lock)'`), "nothing of ours is left")
	require.NoError(t, db.MigrateUp(t.Context(), database.URL))
	compareGolden(t, "schema.golden", dumpSchema(t, database.Pool))
}

// A replica that is older than the schema goes on: a deploy begins with the migration.
func TestMigrationsPendingIgnoresNewerOnes(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	_, err := database.Pool.Exec(t.Context(), "INSERT INTO minoots.schema_versions (version_id, is_applied) VALUES (9999, true)")
	require.NoError(t, err)
	pending, err := d.MigrationsPending(t.Context())
	require.NoError(t, err)
	assert.False(t, pending)
}

// The owner of a database needs no right to make roles.
func TestMigrateAsAnOrdinaryRole(t *testing.T) {
	t.Parallel()
	admin := testdb.New(t)
	role := strings.Replace(admin.Name, "minoots_test_", "minoots_test_role_", 1)
	run := func(database *testdb.DB, format string, args ...any) {
		t.Helper()
		_, err := database.Pool.Exec(context.Background(), fmt.Sprintf(format, args...))
		require.NoError(t, err)
	}
	run(admin, "CREATE ROLE %s LOGIN PASSWORD 'secret'", role)
	t.Cleanup(func() { run(admin, "DROP ROLE %s", role) }) // after the database that it owns
	database := empty(t)
	run(database, "ALTER DATABASE %s OWNER TO %s", database.Name, role)

	location, err := url.Parse(database.URL)
	require.NoError(t, err)
	location.User = url.UserPassword(role, "secret")
	require.NoError(t, db.MigrateUp(t.Context(), location.String()))
	d := connect(t, location.String())
	create(t, d, timerAt(past(d), 0, 0))
	assert.Len(t, claim(t, d, db.ClaimRequest{Limit: 1}), 1)
	_, err = d.PartitionsEnsure(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM pg_tables WHERE tablename = 'timers' AND tableowner = $1", role))
}

// minoots_reporting reads the five views, and of all else nothing.
func TestReportingRole(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	create(t, d, timerAt(past(d), 1, 1))
	claim(t, d, db.ClaimRequest{Limit: 1})
	rows, err := database.Pool.Query(t.Context(), `
		SELECT c.oid::regclass::text, relkind = 'v' FROM pg_class c
		WHERE relnamespace IN ('minoots'::regnamespace, 'river'::regnamespace) AND relkind IN ('r', 'p', 'v', 'S')`)
	require.NoError(t, err)
	relations := map[string]bool{}
	var name string
	var isView bool
	_, err = pgx.ForEachRow(rows, []any{&name, &isView}, func() error { relations[name] = isView; return nil })
	require.NoError(t, err)

	conn := direct(t, database.URL)
	_, err = conn.Exec(t.Context(), "SET ROLE minoots_reporting")
	require.NoError(t, err)
	denied := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		var pg *pgconn.PgError
		if assert.ErrorAs(t, err, &pg, sql) {
			assert.Equal(t, "42501", pg.Code, "%s: %s", sql, pg.Message)
		}
	}
	views := 0
	for relation, isView := range relations {
		if !isView {
			denied("SELECT FROM " + relation)
			continue
		}
		views++
		var n int
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM "+relation).Scan(&n), relation)
		if slices.Contains([]string{"minoots.timer_report", "minoots.firing_report", "minoots.lateness_by_minute", "minoots.backlog"}, relation) {
			assert.Equal(t, 1, n, relation)
		}
	}
	assert.Equal(t, 8, views)
	denied("DELETE FROM minoots.attempt_report")
	denied("UPDATE minoots.attempt_report SET error = ''")
	denied("SELECT minoots.ensure_partitions(now(), 1)")
	denied("CREATE TABLE minoots.mine (id int)")
	denied("CREATE VIEW minoots.mine AS SELECT 1")
}

// Whoever may connect, but is neither the owner nor minoots_reporting, sees nothing.
func TestPublicSeesNothing(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	assert.Zero(t, count(t, database, `
		SELECT count(*) FROM pg_namespace, LATERAL aclexplode(nspacl)
		WHERE nspname IN ('minoots', 'river') AND grantee = 0`))
	assert.Zero(t, count(t, database, `
		SELECT count(*) FROM pg_class c, LATERAL aclexplode(relacl)
		WHERE relnamespace IN ('minoots'::regnamespace, 'river'::regnamespace) AND grantee = 0`))
	assert.Zero(t, count(t, database, `
		SELECT count(*) FROM pg_proc, LATERAL aclexplode(coalesce(proacl, acldefault('f', proowner)))
		WHERE pronamespace = 'minoots'::regnamespace AND grantee = 0`))
}

func TestConnectRefusesABadURLAtOnce(t *testing.T) {
	t.Parallel()
	_, err := db.Connect(t.Context(), db.Config{URL: "postgres://joe:hunter2@host:notaport/x"})
	require.ErrorContains(t, err, "parse database URL")
	assert.NotContains(t, err.Error(), "hunter2")
	assert.NotEqual(t, minoots.CodeUnavailable, minoots.ErrorCode(err))
}
