package db_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// readOnly makes new sessions of the database refuse writes, as a standby does,
// or take them again.
func readOnly(t *testing.T, database *testdb.DB, on bool) {
	t.Helper()
	// A session that is older than the setting.
	_, err := database.Pool.Exec(t.Context(), `SET default_transaction_read_only = off`)
	require.NoError(t, err)
	sql := "ALTER DATABASE " + pgx.Identifier{database.Name}.Sanitize() + " RESET default_transaction_read_only"
	if on {
		sql = "ALTER DATABASE " + pgx.Identifier{database.Name}.Sanitize() + " SET default_transaction_read_only = on"
	}
	_, err = database.Pool.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// writes are what a Writes told.
type writes struct {
	mu  sync.Mutex
	all []error
}

func (c *writes) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, err)
}

func (c *writes) told() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]error(nil), c.all...)
}

func TestWritesRefused(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	var told writes
	writes := &db.Writes{OnChange: told.add}
	var pools []*db.DB // of one process
	for range 2 {
		d := testdb.Connect(t, db.Config{URL: database.URL, MaxConns: 2, Writes: writes})
		pools = append(pools, d)
	}
	d, other := pools[0], pools[1]
	due := timerAt(past(d), 1, 1)
	create(t, d, due)
	require.NoError(t, d.WritesRefused(t.Context()))

	readOnly(t, database, true)
	d.Reset()
	require.NoError(t, d.WritesRefused(t.Context()), "it is not known before a write")
	_, err := d.TimerCreate(t.Context(), []db.NewTimer{timerAt(past(d), 0, 0)})
	assert.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
	for _, each := range pools {
		assert.ErrorContains(t, each.WritesRefused(t.Context()), "read-only transaction (SQLSTATE 25006)")
	}
	_, err = d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 1}, then(func(db.Tx, []db.Fired) error { return nil }))
	assert.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
	require.Len(t, told.told(), 1)

	// A write that succeeds speaks for its kind alone.
	readOnly(t, database, false)
	d.Reset()
	create(t, d, timerAt(past(d), 0, 0))
	require.Len(t, told.told(), 1, "to fire has not succeeded yet")
	assert.NotEmpty(t, claim(t, d, db.ClaimRequest{Limit: 10}))
	require.Len(t, told.told(), 2)
	require.NoError(t, other.WritesRefused(t.Context()))
}

// Where nothing is written any more, who asks finds out.
func TestWritesAreProbedWhileRefused(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	readOnly(t, database, true)
	d.Reset()
	_, err := d.TimerCreate(t.Context(), []db.NewTimer{timerAt(past(d), 0, 0)})
	require.Error(t, err)
	require.Error(t, d.WritesRefused(t.Context()), "the probe is refused too")
	readOnly(t, database, false)
	require.Error(t, d.WritesRefused(t.Context()), "a probe a second")
	require.Eventually(t, func() bool { return d.WritesRefused(t.Context()) == nil }, 5*time.Second, 50*time.Millisecond)
	assert.Zero(t, count(t, database, "SELECT count(*) FROM pg_class WHERE relname = 'minoots_write_probe'"), "it leaves nothing")

	d.Close()
	assert.NoError(t, d.WritesRefused(t.Context()), "at rest it asks nothing")
}

// What a caller did wrong, or a connection that breaks, says nothing of writes.
func TestWritesOtherErrors(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	bad := timerAt(past(d), 0, 0)
	bad.Spec.Name = "\x00"
	_, err := d.TimerCreate(t.Context(), []db.NewTimer{bad})
	require.Error(t, err)
	require.NoError(t, d.WritesRefused(t.Context()))
	d.Close()
	_, err = d.TimerCreate(t.Context(), []db.NewTimer{timerAt(past(d), 0, 0)})
	require.Error(t, err)
	require.NoError(t, d.WritesRefused(t.Context()))
}
