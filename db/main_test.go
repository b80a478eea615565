package db_test

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// update writes the golden files anew: go test ./db -update.
var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	if os.Getenv(envDie) != "" {
		claimAndDie()
	}
	testdb.Main(m)
}

const tenant = "acme"

// setup gives a test a database of its own and a replica on it.
func setup(t *testing.T) (*testdb.DB, *db.DB) {
	t.Helper()
	database := testdb.New(t)
	return database, connect(t, database.URL)
}

// connect opens a replica's pool, closed when the test ends. A test that plays
// many replicas calls it many times.
func connect(t *testing.T, url string) *db.DB {
	t.Helper()
	return testdb.Connect(t, db.Config{URL: url, MaxConns: 4})
}

// timerAt is a timer without a name, due at an instant, with that many webhooks,
// run so many at once.
func timerAt(due time.Time, actions, concurrency int) db.NewTimer {
	n := db.NewTimer{ID: minoots.NewID(), TenantID: tenant}
	at := minoots.InstantOf(due)
	n.Spec.FireAt = &at
	if actions > 0 {
		bundle := minoots.Bundle{Concurrency: concurrency}.WithDefaults()
		for i := range actions {
			bundle.Actions = append(bundle.Actions, minoots.Action{ID: string(rune('a' + i)), Kind: minoots.KindWebhook})
		}
		n.Spec.ActionBundle = &bundle
	}
	return n
}

// past is an instant that has passed, however well d knows the time.
func past(d *db.DB) time.Time { return d.Clock().Now().Add(-time.Minute) }

// create writes timers and gives their ids.
func create(t *testing.T, d *db.DB, timers ...db.NewTimer) []minoots.ID {
	t.Helper()
	created, err := d.TimerCreate(t.Context(), timers)
	require.NoError(t, err)
	ids := make([]minoots.ID, len(created))
	for i := range created {
		ids[i] = created[i].Timer.ID
	}
	return ids
}

// claim fires what is due and enqueues nothing.
func claim(t *testing.T, d *db.DB, req db.ClaimRequest) []db.Fired {
	t.Helper()
	fired, err := d.TimerClaim(t.Context(), req, then(func(db.Tx, []db.Fired) error { return nil }))
	require.NoError(t, err)
	return fired
}

// get reads a timer.
func get(t *testing.T, d *db.DB, id minoots.ID) minoots.Timer {
	t.Helper()
	timer, err := d.TimerGet(t.Context(), tenant, id)
	require.NoError(t, err)
	return timer
}

// count runs a query that gives one number.
func count(t *testing.T, database *testdb.DB, sql string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, database.Pool.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

// compareGolden holds text to a file of testdata.
func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	file = "testdata/" + file
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "if this is meant: go test ./db -update, and read the difference")
}

// then is what a claim does in its transaction, making no jobs.
func then(do func(db.Tx, []db.Fired) error) func(context.Context, db.Tx, []db.Fired) (*db.JobBatch, error) {
	return func(_ context.Context, tx db.Tx, fired []db.Fired) (*db.JobBatch, error) { return nil, do(tx, fired) }
}

// after is the same for the actions that follow an outcome.
func after(do func(context.Context, db.Tx, []minoots.Delivery) error) func(context.Context, db.Tx, []minoots.Delivery) (*db.JobBatch, error) {
	return func(ctx context.Context, tx db.Tx, next []minoots.Delivery) (*db.JobBatch, error) {
		return nil, do(ctx, tx, next)
	}
}
