package workers_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/workers"
)

// crew is a crew that runs.
type crew struct {
	running
	crew *workers.Crew
}

// man starts a crew.
func (w *world) man(cfg workers.Config) *crew {
	w.Helper()
	if cfg.DB == nil {
		cfg.DB = w.connect(w.URL, 10)
	}
	if cfg.Replica == "" {
		cfg.Replica = minoots.NewID().String()
	}
	cfg.Log = silent()
	c := &crew{running: running{registry: prometheus.NewRegistry()}}
	cfg.Registerer = c.registry
	var err error
	c.crew, err = workers.NewCrew(cfg)
	require.NoError(w, err)
	c.stop = runUntilStopped(w, c.crew.Run, &c.err)
	w.Cleanup(func() {
		c.stop()
		assert.NoError(w, c.err, "Run")
	})
	return c
}

// runUntilStopped runs a loop and gives what stops it.
func runUntilStopped(t testing.TB, run func(context.Context) error, result *error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); *result = run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Error("Run did not end")
		}
	})
}

// reaper does what kernels do for the dead, a hundred times a second and without
// grace: whoever is found gone has to have stopped by then.
func (w *world) reaper() {
	d := w.connect(w.URL, 2)
	var err error
	w.Cleanup(runUntilStopped(w, func(ctx context.Context) error {
		every := time.NewTicker(2 * tick)
		defer every.Stop()
		for ; ctx.Err() == nil; <-every.C {
			lost, _, err := d.ReplicaLost(ctx, time.Hour)
			var names []string
			for _, l := range lost {
				names = append(names, l.Replica)
			}
			if err == nil && len(names) > 0 {
				_, _ = d.JobRedispatch(ctx, names)
			}
		}
		return nil
	}, &err))
}

func (w *world) registered() int {
	return w.count("SELECT count(*) FROM minoots.replicas WHERE lost_at IS NULL")
}

func (c *crew) gauge(t testing.TB, name string) float64 {
	return c.family(t, name)[0].GetGauge().GetValue()
}

// place names where deliveries of the test run.
func place(here bool) string {
	if here {
		return "here at once"
	}
	return "fetched by River"
}

// give fires a timer whose deliveries run where they are to.
func (c *crew) give(w *world, here bool, b *minoots.Bundle) {
	w.Helper()
	if !here {
		w.fire(b)
		return
	}
	require.Eventually(w, func() bool { return c.crew.Room(w.Context()) > 0 }, soon, tick)
	w.fireBy(w.plan(c.crew), b)
}

// history is all that is on record.
func (w *world) history() (text string) {
	w.Helper()
	require.NoError(w, w.Pool.QueryRow(context.Background(), `SELECT concat_ws(E'\n',
		(SELECT string_agg(s::text, E'\n' ORDER BY id) FROM minoots.timer_states s),
		(SELECT string_agg(f::text, E'\n' ORDER BY timer_id) FROM minoots.firings f),
		(SELECT string_agg(a::text, E'\n' ORDER BY a::text) FROM minoots.attempts a),
		(SELECT string_agg(e::text, E'\n' ORDER BY seq) FROM minoots.events e),
		(SELECT string_agg(j::text, E'\n' ORDER BY id) FROM river.river_job j))`).Scan(&text))
	return text
}
