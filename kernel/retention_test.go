package kernel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/kernel"
)

const day = 24 * time.Hour

// old makes finished timers of a year ago, and weeks of history.
func (w *world) old(timers int) (partitions int) {
	w.Helper()
	w.exec(`WITH t AS (SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid AS id FROM generate_series(1, $1) AS i),
		d AS (INSERT INTO minoots.timers (id, created_at, tenant_id) SELECT id, now(), 'acme' FROM t)
		INSERT INTO minoots.timer_states (id, tenant_id, fire_at, updated_at, settled_at, status)
		SELECT id, 'acme', now(), now(), now() - interval '1 year', 'settled' FROM t`, timers)
	w.exec("SELECT minoots.ensure_partitions(now() - interval '60 days', 4)")
	return w.count("SELECT count(*) FROM minoots.history_partitions() WHERE ends < now() - interval '30 days'")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 2500 // more than a page
	partitions := w.old(timers)
	require.NotZero(t, partitions)
	ahead := w.create(at(w.api.Clock().Now().AddDate(10, 0, 0)))[0].Timer
	k := w.start(kernel.Config{HistoryRetention: 30 * day, FinishedRetention: 30 * day, RetentionInterval: 100 * time.Millisecond})
	require.Eventually(t, func() bool {
		return w.count("SELECT count(*) FROM minoots.timer_states") == 1 &&
			w.count("SELECT count(*) FROM minoots.history_partitions() WHERE ends < now() - interval '30 days'") == 0
	}, soon, tick)
	require.Eventually(t, func() bool { // a little after the commit
		return k.metric(t, "minoots_retention_removed_total") == float64(timers+partitions)
	}, soon, tick)
	k.stop()
	assert.Zero(t, k.metric(t, "minoots_retention_kept_partitions"))
	left, err := w.api.TimerGet(t.Context(), tenant, ahead.ID)
	require.NoError(t, err)
	assert.Equal(t, ahead.FireAt, left.FireAt)
	assert.EqualValues(t, 1, left.Version)
}

// Without a time nothing goes. With one, the kernel on seat 0 sees to it, and
// that on the next when it is gone.
func TestRetentionIsOffOrTheFirstSeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.old(10)
	first := w.start(kernel.Config{ListenURL: w.URL})
	first.seated(t, 0)
	second := w.start(kernel.Config{ListenURL: w.URL, HistoryRetention: 30 * day, FinishedRetention: 30 * day})
	second.seated(t, 1)
	for _, k := range []*running{first, second} {
		kernel.Retain(t.Context(), k.Kernel)
		assert.Equal(t, 10, w.count("SELECT count(*) FROM minoots.timers"))
	}
	first.stop()
	second.seated(t, 0)
	kernel.Retain(t.Context(), second.Kernel)
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.timers"))
}

// A week in which something runs is kept, and told of.
func TestRetentionTellsOfWhatItKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.old(0)
	w.exec(`INSERT INTO minoots.firings (timer_id, due_at, fired_at, occurrence, actions, started, tenant_id, status)
		SELECT gen_random_uuid(), now() - interval '50 days', now(), 1, 1, 1, 'acme', 'running'`)
	k := w.start(kernel.Config{HistoryRetention: 30 * day, RetentionInterval: 100 * time.Millisecond})
	require.Eventually(t, func() bool { return k.metric(t, "minoots_retention_kept_partitions") == 1 }, soon, tick)
	assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.firings"))
	w.exec("UPDATE minoots.firings SET status = 'settled'")
	require.Eventually(t, func() bool { return k.metric(t, "minoots_retention_kept_partitions") == 0 }, soon, tick)
	require.Eventually(t, func() bool { return w.count("SELECT count(*) FROM minoots.firings") == 0 }, soon, tick)
	assert.Zero(t, k.metric(t, "minoots_kernel_errors_total"))
}
