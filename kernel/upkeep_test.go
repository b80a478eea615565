package kernel_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
