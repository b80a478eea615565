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
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
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

const presenceBackends = `FROM pg_stat_activity WHERE application_name LIKE 'minoots-presence-%' AND datname = current_database()`

// A crew that loses its presence cuts its actions, and goes on in a new life. The
// lost action is run again under the same webhook-id.
func TestCrewBeginsANewLife(t *testing.T) {
	t.Parallel()
	for _, here := range []bool{false, true} {
		t.Run(place(here), func(t *testing.T) {
			t.Parallel()
			beginsANewLife(t, here)
		})
	}
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

func beginsANewLife(t *testing.T, here bool) {
	w := newWorld(t)
	w.reaper()
	var once sync.Once
	cut := make(chan struct{})
	a := &actor{do: func(ctx context.Context, d minoots.Delivery, _ int) minoots.Outcome {
		first := false
		once.Do(func() { first = true })
		if !first {
			return succeeded()
		}
		<-ctx.Done()
		close(cut)
		return failed("cancelled", true)
	}}
	c := w.man(workers.Config{Actions: a, Replica: "a", ListenURL: w.URL})
	only := bundle(1, "a")
	only.RetryPolicy.MaxAttempts = 1
	c.give(w, here, only)
	a.eventuallyMade(t, 1)
	assert.Equal(t, 1.0, c.gauge(t, "minoots_presence_up"))
	w.exec("SELECT pg_terminate_backend(pid) " + presenceBackends)
	<-cut
	w.eventuallyOver(1)
	w.requireConsistent()
	assert.Equal(t, 1.0, c.counter(t, "minoots_presence_losses_total"))
	made := a.attempts()
	require.Len(t, made, 2)
	assert.Equal(t, made[0], made[1], "the same webhook-id and number")
	assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.attempts WHERE replica = 'a-2' AND status = 'succeeded'"))

	c.stop()
	require.NoError(t, c.err)
	assert.Zero(t, w.registered(), "a clean end")
	assert.Zero(t, c.gauge(t, "minoots_presence_up"))
}

// The process is cut off without its connections ending. It stops before another
// begins, and what it still does comes to nothing.
func TestCrewStopsBeforeOthersTakeOver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode         string
		listen, here bool
	}{{"lock", true, false}, {"lease", false, false}, {"lock", true, true}, {"lease", false, true}} {
		t.Run(c.mode+", "+place(c.here), func(t *testing.T) {
			t.Parallel()
			listen, here := c.listen, c.here
			w := newWorld(t)
			w.reaper()
			p := faultproxy.New(t, w.URL)
			var cutAt time.Time
			cut, release := make(chan struct{}), make(chan struct{})
			zombie := &actor{do: func(ctx context.Context, _ minoots.Delivery, _ int) minoots.Outcome {
				<-ctx.Done()
				cutAt = time.Now()
				close(cut)
				<-release // it does not heed its context, and succeeds
				return succeeded()
			}}
			cfg := workers.Config{Actions: zombie, DB: w.connect(p.URL(), 10), Replica: "zombie"}
			if listen {
				cfg.ListenURL = p.URL()
			}
			c := w.man(cfg)
			c.give(w, here, bundle(1, "a", "b"))
			zombie.eventuallyMade(t, 1)
			var tookAt time.Time
			var once sync.Once
			other := &actor{do: func(context.Context, minoots.Delivery, int) minoots.Outcome {
				once.Do(func() { tookAt = time.Now() })
				return succeeded()
			}}
			w.man(workers.Config{Actions: other, ListenURL: w.URL})
			w.eventually(2, "SELECT count(*) FROM minoots.replicas")
			p.Set(faultproxy.Stall)
			w.eventuallyOver(1)
			<-cut
			assert.Greater(t, tookAt.Sub(cutAt), time.Second)
			assert.Equal(t, zombie.attempts()[0], other.attempts()[0])

			before := w.history()
			p.Set(faultproxy.Pass)
			p.Cut()
			close(release)
			require.Eventually(t, func() bool {
				return c.counter(t, "minoots_outcomes_superseded_total")+c.counter(t, "minoots_recorder_errors_total") > 0 ||
					c.gauge(t, "minoots_presence_up") == 1
			}, soon, tick)
			c.stop()
			assert.Equal(t, before, w.history(), "the zombie's outcome changed nothing")
			w.requireConsistent()
		})
	}
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

// An outage ends no crew: it registers when Postgres is back.
func TestCrewLivesThroughAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.reaper()
	p := faultproxy.New(t, w.URL)
	a := &actor{}
	c := w.man(workers.Config{Actions: a, DB: w.connect(p.URL(), 10), ListenURL: p.URL()})
	w.fire(bundle(1, "a"))
	w.eventuallyOver(1)
	for n := 1; n <= 3; n++ {
		p.Down()
		require.Eventually(t, func() bool { return c.gauge(t, "minoots_presence_up") == 0 }, soon, tick)
		w.fire(many(5, bundle(1, "a"))...)
		p.Set(faultproxy.Pass)
		w.eventuallyOver(1 + 5*n)
	}
	c.stop()
	require.NoError(t, c.err)
	w.requireConsistent()
	assert.Len(t, a.attempts(), 16, "nothing was under way, so nothing is repeated")
}

// Deliveries that were made while Postgres was away are recorded when it is back,
// if nobody has taken their jobs over.
func TestCrewRecordsWhatALostLifeDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	down := make(chan struct{})
	a := &actor{do: func(_ context.Context, d minoots.Delivery, _ int) minoots.Outcome {
		if d.Action.ID == "late" {
			p.Down()
			close(down)
		}
		return succeeded()
	}}
	c := w.man(workers.Config{Actions: a, DB: w.connect(p.URL(), 10), ListenURL: p.URL()})
	w.fire(bundle(1, "late"))
	<-down
	require.Eventually(t, func() bool { return c.gauge(t, "minoots_presence_up") == 0 }, soon, tick)
	p.Set(faultproxy.Pass)
	w.eventuallyOver(1)
	w.requireConsistent()
	assert.Len(t, a.attempts(), 1, "not repeated")
}

// Nothing is fetched before the registration has committed.
func TestCrewRegistersBeforeItWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.reaper()
	lock, err := w.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = lock.Rollback(context.Background()) }()
	_, err = lock.Exec(t.Context(), "LOCK TABLE minoots.replicas IN EXCLUSIVE MODE")
	require.NoError(t, err)
	a := &actor{}
	w.fire(bundle(1, "a"))
	w.man(workers.Config{Actions: a, ListenURL: w.URL})
	w.eventually(1, "SELECT count(*) "+presenceBackends+" AND wait_event_type = 'Lock'")
	assert.Empty(t, a.attempts())
	assert.Equal(t, 1, w.count("SELECT count(*) FROM river.river_job WHERE state = 'available' AND attempt = 0"))
	require.NoError(t, lock.Rollback(t.Context()))
	w.eventuallyOver(1)
	assert.Len(t, a.attempts(), 1)
}

func TestCrewThroughAPooler(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pooled, err := db.Connect(t.Context(), db.Config{URL: w.database.PgBouncer(t), Name: "test", MaxConns: 8, Log: silent()})
	require.NoError(t, err)
	t.Cleanup(pooled.Close)
	c := w.man(workers.Config{Actions: &actor{}, DB: pooled, PollOnly: true})
	w.fire(many(5, bundle(1, "a"))...)
	w.eventuallyOver(5)
	assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.replicas WHERE mode = 'lease'"))
	c.stop()
	assert.Zero(t, w.registered())
}

func TestNewCrewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := workers.NewCrew(workers.Config{DB: w.api, Actions: &actor{}})
	require.Error(t, err)
	_, err = workers.NewCrew(workers.Config{Actions: &actor{}, Replica: "r"})
	require.Error(t, err)
}
