package kernel_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/kernel"
)

func TestStopFinishesTheFireTransactionUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered, release := make(chan struct{}), make(chan struct{})
	e := &fakePlanner{do: func(ctx context.Context, _ []minoots.Delivery) error {
		close(entered)
		<-release
		return ctx.Err() // it has not ended
	}}
	// The second is due as well and is not begun any more: the batch is full.
	w.create(acting(w.in(-time.Second), 1, "a"), w.in(0))
	k := w.start(kernel.Config{Planner: e, Batch: 1})
	<-entered
	stopped := make(chan struct{})
	go func() { k.stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Error("Run has not waited")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	<-stopped
	assert.Equal(t, 1, w.fired())
}

func TestStopCutsAFireTransactionThatHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered := make(chan struct{})
	e := &fakePlanner{do: func(ctx context.Context, _ []minoots.Delivery) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}}
	w.create(acting(w.in(0), 1, "a"))
	k := w.start(kernel.Config{Planner: e})
	<-entered
	began := time.Now()
	k.stop()
	took := time.Since(began)
	assert.GreaterOrEqual(t, took, kernel.FinishTimeout-100*time.Millisecond)
	assert.Less(t, took, kernel.FinishTimeout+3*time.Second)
	assert.Zero(t, w.fired())
	assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'scheduled'"), "for another to fire")
}

func TestStopIsQuickWhileIdleAndWhilePostgresIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	idle := w.start(kernel.Config{ListenURL: w.URL})
	idle.seated(t, 0)
	p, away := w.behindProxy(kernel.Config{}, 1)
	p.Down()
	require.Eventually(t, func() bool { return away.metric(t, "minoots_kernel_errors_total") >= 1 }, soon, tick)
	for _, k := range []*running{idle, away} {
		began := time.Now()
		k.stop()
		assert.Less(t, time.Since(began), 2*time.Second)
	}
}

func TestStopAndStartManyTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const rounds, perRound = 50, 4
	database := w.connect(w.URL, 6)
	for i := range rounds {
		w.create(w.in(0), acting(w.in(0), 1, "a"), w.in(time.Millisecond), w.in(5*time.Millisecond))
		k := w.start(kernel.Config{DB: database, ListenURL: w.URL})
		if i%3 == 0 {
			k.seated(t, 0)
		}
		k.stop() // wherever it is
	}
	w.start(kernel.Config{DB: database, ListenURL: w.URL})
	w.eventuallyFired(rounds * perRound)
	w.requireEachOnceNoneEarly(rounds * perRound)
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := kernel.New(kernel.Config{DB: w.api})
	require.Error(t, err)
	_, err = kernel.New(kernel.Config{Planner: &fakePlanner{}})
	require.Error(t, err)
	registry := prometheus.NewRegistry()
	k, err := kernel.New(kernel.Config{DB: w.api, Planner: &fakePlanner{}, Registerer: registry})
	require.NoError(t, err)
	assert.Equal(t, kernel.Status{Seat: db.NoSeat}, k.Status(), "it has not looked yet")
	_, err = kernel.New(kernel.Config{DB: w.api, Planner: &fakePlanner{}, Registerer: registry})
	require.Error(t, err, "metrics are registered once")
}

func TestBackoffGrowsAndStaysBelowASecond(t *testing.T) {
	t.Parallel()
	for failures := range 100 {
		pause := kernel.Backoff(failures + 1)
		assert.LessOrEqual(t, pause, time.Second)
		assert.GreaterOrEqual(t, pause, 25*time.Millisecond)
	}
	assert.LessOrEqual(t, kernel.Backoff(1), 50*time.Millisecond)
	assert.GreaterOrEqual(t, kernel.Backoff(100), 500*time.Millisecond)
}
