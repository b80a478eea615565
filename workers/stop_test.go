package workers_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/workers"
)

func TestStopLetsRunningActionsFinish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers, running = 60, 20
	release := make(chan struct{})
	a := &actor{do: func(context.Context, minoots.Delivery, int) minoots.Outcome { <-release; return succeeded() }}
	w.fire(many(timers, bundle(1, "a"))...)
	k := w.start(workers.Config{Actions: a, Concurrency: running})
	a.eventuallyMade(t, running)
	stopped := make(chan struct{})
	go func() { k.stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Error("Run has not waited")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	<-stopped
	w.requireConsistent()
	assert.Len(t, a.attempts(), running, "no more were fetched")
	assert.Equal(t, running, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'settled'"), "none lost")
	assert.Equal(t, timers-running, w.count("SELECT count(*) FROM river.river_job WHERE state = 'available' AND attempt = 0"), "the others wait")
}

// untilCut is an action that only a shutdown ends.
func untilCut(ctx context.Context, _ minoots.Delivery, _ int) minoots.Outcome {
	<-ctx.Done()
	return failed("cancelled", true)
}

func TestStopCutsActionsAfterTheGrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cut := &actor{do: untilCut}
	w.fire(bundle(1, "a"), bundle(1, "a", "b"))
	k := w.start(workers.Config{Actions: cut, Grace: 100 * time.Millisecond})
	cut.eventuallyMade(t, 2)
	began := time.Now()
	k.stop()
	assert.Less(t, time.Since(began), 5*time.Second)
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.attempts"), "it says nothing about the receiver")
	assert.Equal(t, 2, w.count("SELECT count(*) FROM river.river_job WHERE state = 'available' AND attempt = 0 AND scheduled_at < now() + interval '1 second'"), "not counted")

	other := &actor{}
	w.start(workers.Config{Actions: other}) // of another name
	w.eventuallyOver(2)
	w.requireConsistent()
	again := map[attempt]bool{}
	for _, made := range other.attempts() {
		again[made] = true
	}
	for _, made := range cut.attempts() {
		assert.True(t, again[made], "%v: the same webhook-id and number", made)
	}
}

// A success that comes as the grace ends is a success: it was delivered.
func TestStopKeepsASuccessThatCameLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &actor{do: func(ctx context.Context, _ minoots.Delivery, _ int) minoots.Outcome { <-ctx.Done(); return succeeded() }}
	w.fire(bundle(1, "a"))
	k := w.start(workers.Config{Actions: a, Grace: 50 * time.Millisecond})
	a.eventuallyMade(t, 1)
	k.stop()
	w.eventuallyOver(1)
	w.requireConsistent()
}

func TestStopEndsThoughPostgresIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	a := &actor{do: meetings(3, p.Down)}
	w.fire(many(3, bundle(1, "a"))...)
	k := w.start(workers.Config{Actions: a, DB: w.connect(p.URL(), 10), Grace: 100 * time.Millisecond})
	a.eventuallyMade(t, 3)
	require.Eventually(t, func() bool { return k.counter(t, "minoots_recorder_retries_total") >= 1 }, soon, tick)
	began := time.Now()
	k.stop()
	assert.Less(t, time.Since(began), 6*time.Second, "the grace and 4 s")
	assert.Equal(t, 3, w.count("SELECT count(*) FROM river.river_job WHERE state = 'running'"), "for the rescue")
	k.err = nil // it may say that River has not ended yet
	p.Set(faultproxy.Pass)
	<-workers.Stopped(k.Workers)
}

func TestStopAndStartManyTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const rounds, perRound = 25, 8
	database := w.connect(w.URL, 10)
	a := &actor{do: aLittle}
	for range rounds {
		w.fire(many(perRound, bundle(1, "a"))...)
		k := w.start(workers.Config{Actions: a, DB: database})
		a.eventuallyMade(t, 1)
		k.stop()
		require.NoError(t, k.err)
		require.Zero(t, w.count("SELECT count(*) FROM river.river_job WHERE state = 'running'"))
	}
	w.start(workers.Config{Actions: a, DB: database})
	w.eventuallyOver(rounds * perRound)
	w.requireConsistent()
	assert.Len(t, a.attempts(), rounds*perRound, "none was repeated")
}

func TestStartWithoutPostgresIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	database := w.connect(p.URL(), 2)
	p.Down()
	k, err := workers.New(workers.Config{DB: database, Actions: &actor{}, Replica: "r", Log: silent()})
	require.NoError(t, err)
	require.Error(t, k.Run(t.Context()))
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, cfg := range map[string]workers.Config{
		"no database": {Actions: &actor{}, Replica: "r"},
		"no actions":  {DB: w.api, Replica: "r"},
		"no name":     {DB: w.api, Actions: &actor{}},
	} {
		_, err := workers.New(cfg)
		assert.Error(t, err, name)
	}
	good := workers.Config{DB: w.api, Actions: &actor{}, Replica: "r", Registerer: prometheus.NewRegistry()}
	_, err := workers.New(good)
	require.NoError(t, err)
	_, err = workers.New(good)
	require.Error(t, err, "metrics are registered once")
}

// River has no deadline for its first words with Postgres.
func TestStopBeforeWorkBegan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	river := w.connect(p.URL(), 1)
	require.NoError(t, river.Pool().Ping(t.Context()), "a connection that stands")
	p.Set(faultproxy.Stall)
	waiting := func() bool { return river.Pool().Stat().AcquiredConns() == 1 }

	k := w.man(workers.Config{Actions: &actor{}, River: river, ListenURL: w.URL, Grace: stopGrace})
	require.Eventually(t, waiting, 10*time.Second, time.Millisecond)
	began := time.Now()
	k.stop()
	assert.Less(t, time.Since(began), stopWithin)
	require.NoError(t, k.err)
	assert.Zero(t, w.registered(), "struck off: it had nothing")
}
