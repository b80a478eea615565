package kernel_test

import (
	"context"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// count asks the database.
func (w *world) count(sql string, args ...any) (n int) {
	w.Helper()
	require.NoError(w, w.Pool.QueryRow(context.Background(), sql, args...).Scan(&n), sql)
	return n
}

// fired counts the firings.
func (w *world) fired() int { return w.count("SELECT count(*) FROM minoots.firings") }

// eventuallyFired waits for that many firings.
func (w *world) eventuallyFired(n int) {
	w.Helper()
	require.Eventually(w, func() bool { return w.fired() >= n }, soon, tick, "%d firings", n)
}

// firesNothingFor is what the absence of a firing looks like.
func (w *world) firesNothingFor(d time.Duration) {
	w.Helper()
	n := w.fired()
	// Not require.Never, whose last look may outlive the test.
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-look.C {
		require.Equal(w, n, w.fired(), "something fired")
	}
}

// requireEachOnceNoneEarly is the promise of the service.
func (w *world) requireEachOnceNoneEarly(timers int) {
	w.Helper()
	require.Equal(w, timers, w.fired(), "firings")
	require.Equal(w, timers, w.count("SELECT count(DISTINCT timer_id) FROM minoots.firings WHERE occurrence = 1"), "each once")
	require.Zero(w, w.count("SELECT count(*) FROM minoots.firings WHERE fired_at < due_at"), "early")
	require.Zero(w, w.count("SELECT count(*) FROM minoots.timer_states WHERE due_at IS NOT NULL OR occurrence <> 1"), "not claimed")
	require.Equal(w, timers, w.count("SELECT count(*) FROM minoots.events WHERE type = 'timer.fired'"), "events")
}

// latest gives the greatest lateness of a firing.
func (w *world) latest() (late time.Duration) {
	w.Helper()
	var ms float64
	require.NoError(w, w.Pool.QueryRow(context.Background(),
		"SELECT coalesce(max(extract(epoch FROM fired_at - due_at)), 0) * 1000 FROM minoots.firings").Scan(&ms))
	return time.Duration(ms * float64(time.Millisecond))
}

// exec changes the database behind everybody's back.
func (w *world) exec(sql string, args ...any) {
	w.Helper()
	_, err := w.Pool.Exec(context.Background(), sql, args...)
	require.NoError(w, err)
}

// fakePlanner makes no jobs and remembers what it was given.
type fakePlanner struct {
	// do, if there, is asked first.
	do func(ctx context.Context, deliveries []minoots.Delivery) error

	mu         sync.Mutex
	deliveries []minoots.Delivery
	inside     int
	most       int // that were in Plan at once
	calls      int
}

func (e *fakePlanner) Plan(ctx context.Context, deliveries []minoots.Delivery) (*db.JobBatch, error) {
	e.mu.Lock()
	e.calls++
	e.inside++
	e.most = max(e.most, e.inside)
	e.mu.Unlock()
	var err error
	if e.do != nil {
		err = e.do(ctx, deliveries)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inside--
	if err == nil {
		e.deliveries = append(e.deliveries, deliveries...)
	}
	return nil, err
}

func (e *fakePlanner) Room(context.Context) int { return 0 }

// takes is work that takes so long.
func takes(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *fakePlanner) got() []minoots.Delivery {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]minoots.Delivery{}, e.deliveries...)
}

func (e *fakePlanner) called() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls
}

func (e *fakePlanner) together() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.most
}
