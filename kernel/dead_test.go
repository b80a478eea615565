package kernel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/kernel"
)

// While a snapshot stays open vacuum removes nothing. Claims must not walk over
// all the entries of what was claimed before.
func TestLowWaterSparesTheDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const dead, timers = 4000, 100
	snapshot, err := w.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = snapshot.Rollback(t.Context()) }()
	_, err = snapshot.Exec(t.Context(), "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM minoots.timer_states")
	require.NoError(t, err)

	specs := make([]minoots.TimerSpec, dead)
	for i := range specs {
		specs[i] = w.in(-time.Minute)
	}
	w.create(specs...)
	first := w.start(kernel.Config{PollInterval: never, SweepInterval: never})
	w.eventuallyFired(dead)
	first.stop()

	database := w.connect(w.URL, 6)
	k := w.start(kernel.Config{DB: database, PollInterval: never, SweepInterval: never, ListenURL: w.URL})
	k.seated(t, 0)
	w.quiet()
	for i := range timers {
		w.hint(w.create(w.in(0)))
		w.eventuallyFired(dead + 2 + i)
	}
	k.stop()
	before := w.indexReads()
	database.Close() // the server counts a session's reads at its end
	require.Eventually(t, func() bool { return w.indexReads() > before }, soon, tick)
	// 50 times what the first full looks cost; without the mark each of the
	// claims would read all the dead, 400,000 entries.
	assert.Less(t, w.indexReads(), 15*dead)
	w.requireEachOnceNoneEarly(dead + timers + 1)
}

// indexReads counts the entries of the due index that were read so far.
func (w *world) indexReads() int {
	w.Helper()
	return w.count("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'timer_states_due'")
}

// Every look that finds nothing due raises the mark, also that of a kernel which
// never has anything to claim.
func TestLowWaterRisesInHigherSeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.backupsOnly(nil)
	first.seated(t, 0)
	second := w.start(kernel.Config{ListenURL: w.URL, PollInterval: 50 * time.Millisecond, SweepInterval: never})
	second.seated(t, 1)
	begin := w.api.Clock().Now()
	require.Eventually(t, func() bool { return kernel.Mark(second.Kernel).After(begin) }, soon, tick)
	assert.Zero(t, second.metric(t, "minoots_timers_fired_total"))
}
