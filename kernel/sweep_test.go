package kernel_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/kernel"
)

// The gauges of the backlog are those of the database.
func TestSweepMeasuresTheBacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	specs := []minoots.TimerSpec{w.in(time.Hour)}
	for i := range 7 {
		specs = append(specs, w.in(-time.Duration(i+1)*time.Minute))
	}
	w.create(specs...)
	k, err := kernel.New(kernel.Config{DB: w.api, Planner: &fakePlanner{}, Log: silent()})
	require.NoError(t, err)
	backlog, oldest, err := kernel.Sweep(t.Context(), k)
	require.NoError(t, err)
	assert.Equal(t, 7.0, backlog)
	assert.InDelta(t, (7 * time.Minute).Seconds(), oldest, 5)
	w.exec("UPDATE minoots.timer_states SET due_at = NULL, status = 'cancelled' WHERE due_at < now()")
	backlog, oldest, err = kernel.Sweep(t.Context(), k)
	require.NoError(t, err)
	assert.Equal(t, "0 0", fmt.Sprint(backlog, oldest))
}

// A sweep that takes long, as beside a snapshot that keeps vacuum from its work,
// keeps no timer waiting.
func TestSweepDelaysNoTimer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// A now() of the test's, in front of Postgres' own, has a sweep take a minute.
	w.exec("CREATE SCHEMA slow")
	w.exec(`CREATE FUNCTION slow.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$
		SELECT CASE WHEN current_query() LIKE '%How many timers are due%' THEN pg_sleep(60) END; SELECT pg_catalog.now() $$`)
	sweeping := func() int {
		return w.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'")
	}
	k := w.start(kernel.Config{
		DB: w.connect(w.URL+"&search_path=slow,pg_catalog", 6), ListenURL: w.URL,
	})
	k.seated(t, 0)
	require.Eventually(t, func() bool { return sweeping() == 1 }, soon, tick)
	for n := range 5 {
		w.hint(w.create(w.in(0)))
		w.eventuallyFired(n + 1)
	}
	assert.Equal(t, 1, sweeping(), "the same is still under way")
	k.stop() // and does not wait for it
	w.requireEachOnceNoneEarly(5)
}

// What took long is not done again soon.
func TestSweepRestsAfterALongOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		took time.Duration
		want time.Duration
	}{{0, 9 * time.Second}, {100 * time.Millisecond, 9 * time.Second}, {time.Second, 50 * time.Second}, {time.Minute, 5 * time.Minute}} {
		next := kernel.NextSweep(10*time.Second, c.took)
		assert.GreaterOrEqual(t, next, c.want)
		assert.LessOrEqual(t, next, max(c.want, 11*time.Second))
	}
}
