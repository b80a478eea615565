package workers_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/workers"
)

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
