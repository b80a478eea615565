package kernel_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/kernel"
)

func TestUpkeepForgetsOldKeysOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const keys = 25_000 // more than two statements remove
	w.exec(`INSERT INTO minoots.idempotency_keys (tenant_id, key, timer_id, fingerprint, created_at)
		SELECT 'acme', 'old-' || i, gen_random_uuid(), '\x00'::bytea, now() - $2::interval - interval '1 minute' FROM generate_series(1, $1) i
		UNION ALL
		SELECT 'acme', 'new-' || i, gen_random_uuid(), '\x00'::bytea, now() - $2::interval + interval '1 minute' FROM generate_series(1, 10) i`,
		keys, db.IdempotencyKept)
	w.start(kernel.Config{})
	require.Eventually(t, func() bool {
		return w.count("SELECT count(*) FROM minoots.idempotency_keys WHERE key LIKE 'old-%'") == 0
	}, soon, tick)
	assert.Equal(t, 10, w.count("SELECT count(*) FROM minoots.idempotency_keys"))
}

func TestUpkeepMakesPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	partitions := func() int {
		return w.count("SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r' AND relnamespace = 'minoots'::regnamespace")
	}
	all := partitions()
	var last string
	require.NoError(t, w.Pool.QueryRow(t.Context(), `SELECT max(inhrelid::regclass::text) FROM pg_inherits
		WHERE inhparent = 'minoots.events'::regclass AND inhrelid::regclass::text !~ 'default'`).Scan(&last))
	w.exec("DROP TABLE " + last)
	require.Equal(t, all-1, partitions())
	for range 3 { // at once, and it bears it
		w.start(kernel.Config{})
	}
	require.Eventually(t, func() bool { return partitions() >= all }, soon, tick)
}

// The gauges of the backlog are those of the database.
func TestUpkeepMeasuresTheBacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	specs := []minoots.TimerSpec{w.in(time.Hour)}
	for i := range 7 {
		specs = append(specs, w.in(-time.Duration(i+1)*time.Minute))
	}
	w.create(specs...)
	k, err := kernel.New(kernel.Config{DB: w.api, Planner: &fakePlanner{}, Log: silent()})
	require.NoError(t, err)
	backlog, oldest, err := kernel.MeasureBacklog(t.Context(), k)
	require.NoError(t, err)
	assert.Equal(t, 7.0, backlog)
	assert.InDelta(t, (7 * time.Minute).Seconds(), oldest, 5)
	w.exec("UPDATE minoots.timer_states SET due_at = NULL, status = 'cancelled' WHERE due_at < now()")
	backlog, oldest, err = kernel.MeasureBacklog(t.Context(), k)
	require.NoError(t, err)
	assert.Equal(t, "0 0", fmt.Sprint(backlog, oldest))
}
