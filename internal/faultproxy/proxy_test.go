package faultproxy_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/internal/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }

type setup struct {
	database *testdb.DB
	proxy    *faultproxy.Proxy
	conn     *pgx.Conn // through the proxy
}

func newSetup(t *testing.T) setup {
	database := testdb.New(t)
	proxy := faultproxy.New(t, database.URL)
	conn, err := pgx.Connect(t.Context(), proxy.URL())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return setup{database, proxy, conn}
}

// brief is longer than an answer takes, and as long as a test waits for none.
func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestPass(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	var name string
	require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT current_database()").Scan(&name))
	require.Equal(t, s.database.Name, name)
}

func TestCutEndsConnectionsAndTakesNewOnes(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.proxy.Cut()
	require.Error(t, s.conn.Ping(t.Context()))
	again, err := pgx.Connect(t.Context(), s.proxy.URL())
	require.NoError(t, err)
	require.NoError(t, again.Close(t.Context()))
}

func TestRefuseTakesNoNewConnections(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.proxy.Set(faultproxy.Refuse)
	require.NoError(t, s.conn.Ping(t.Context()), "the old one lives on")
	_, err := pgx.Connect(t.Context(), s.proxy.URL())
	require.Error(t, err)
	s.proxy.Down()
	require.Error(t, s.conn.Ping(t.Context()))
}

func TestStallHoldsBothDirections(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.proxy.Set(faultproxy.Stall)
	_, err := s.conn.Exec(brief(t), "CREATE TABLE mark (x int)")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, s.marked(t), "the statement has not arrived")
	_, err = pgx.Connect(brief(t), s.proxy.URL())
	require.Error(t, err, "a new connection stalls too")
	s.proxy.Set(faultproxy.Pass)
	again, err := pgx.Connect(t.Context(), s.proxy.URL())
	require.NoError(t, err)
	require.NoError(t, again.Close(t.Context()))
}

func TestMuteLosesTheAnswerOnly(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.proxy.Set(faultproxy.Mute)
	_, err := s.conn.Exec(brief(t), "CREATE TABLE mark (x int)")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Eventually(t, func() bool { return s.marked(t) }, 5*time.Second, 5*time.Millisecond, "the statement has arrived")
}

func (s setup) marked(t *testing.T) (there bool) {
	require.NoError(t, s.database.Pool.QueryRow(t.Context(), "SELECT to_regclass('mark') IS NOT NULL").Scan(&there))
	return there
}
