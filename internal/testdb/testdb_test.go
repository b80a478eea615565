package testdb

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

func TestNewGivesEachTestItsOwnMigratedDatabase(t *testing.T) {
	t.Parallel()
	one, two := New(t), New(t)
	for _, database := range []*DB{one, two} {
		var migrated bool
		require.NoError(t, database.Pool.QueryRow(t.Context(),
			"SELECT count(*) > 0 FROM pg_tables WHERE schemaname = 'minoots'").Scan(&migrated))
		assert.True(t, migrated)
		_, err := database.Pool.Exec(t.Context(), "CREATE TABLE mark (x int)")
		require.NoError(t, err, "nobody else's mark is here")
	}
}

func TestNewDropsTheDatabaseWithItsConnections(t *testing.T) {
	t.Parallel()
	var database *DB
	var left *pgx.Conn
	t.Run("inner", func(t *testing.T) {
		database = New(t)
		var err error
		left, err = pgx.Connect(t.Context(), database.URL)
		require.NoError(t, err)
	})
	require.Error(t, left.Ping(t.Context()))
	_, err := pgx.Connect(t.Context(), database.URL)
	require.ErrorContains(t, err, "does not exist")
}

func TestDropStale(t *testing.T) {
	t.Parallel()
	New(t) // the server is up
	stale := databaseName(time.Now().Add(-2 * staleAfter))
	fresh := databaseName(time.Now())
	for _, name := range []string{stale, fresh} {
		require.NoError(t, shared.exec(t.Context(), "CREATE DATABASE "+quote(name)))
	}
	conn, err := pgx.Connect(t.Context(), shared.server.URL(""))
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()

	require.NoError(t, dropStale(t.Context(), conn, time.Now().Add(-staleAfter)))
	names, err := databases(t.Context(), conn, testPrefix+"%")
	require.NoError(t, err)
	assert.Contains(t, names, fresh)
	assert.NotContains(t, names, stale)
	require.NoError(t, shared.exec(t.Context(), "DROP DATABASE "+quote(fresh)))
}

func TestHashFilesSeesNamesAndContents(t *testing.T) {
	t.Parallel()
	hash := func(name, content string) string {
		sum, err := hashFiles(fstest.MapFS{name: {Data: []byte(content)}})
		require.NoError(t, err)
		return sum
	}
	assert.Equal(t, hash("a", "1"), hash("a", "1"))
	assert.NotEqual(t, hash("a", "1"), hash("a", "2"))
	assert.NotEqual(t, hash("a", "1"), hash("b", "1"))
}

// BenchmarkCreateAndDrop is the price that every test with a database pays.
func BenchmarkCreateAndDrop(b *testing.B) {
	New(b) // the server is up
	for b.Loop() {
		name, err := shared.create(b.Context())
		require.NoError(b, err)
		require.NoError(b, shared.drop(b.Context(), name))
	}
}
