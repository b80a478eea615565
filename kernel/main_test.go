package kernel_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
	"github.com/minoots/minoots/kernel"
)

func TestMain(m *testing.M) { testdb.Main(m) }

const (
	tick   = 5 * time.Millisecond // between two looks at Postgres
	soon   = 10 * time.Second     // how long a test waits for what must come
	never  = time.Hour            // an interval that no test sees the end of
	tenant = "acme"
)

// world is a database, and kernels on it.
type world struct {
	testing.TB
	URL  string
	Pool *pgxpool.Pool // behind everybody's back
	api  *db.DB
}

func newWorld(t testing.TB) *world {
	database := testdb.New(t)
	w := &world{TB: t, URL: database.URL, Pool: database.Pool}
	w.api = w.connect(w.URL, 4)
	return w
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (w *world) connect(url string, conns int32) *db.DB {
	w.Helper()
	return testdb.Connect(w, db.Config{URL: url, MaxConns: conns})
}

// create makes timers, without a hint to anybody.
func (w *world) create(specs ...minoots.TimerSpec) []db.Created {
	w.Helper()
	timers := make([]db.NewTimer, len(specs))
	for i := range specs {
		timers[i] = db.NewTimer{ID: minoots.NewID(), TenantID: tenant, Spec: specs[i]}
	}
	created, err := w.api.TimerCreate(w.Context(), timers)
	require.NoError(w, err)
	return created
}

// at is a timer without actions, which settles as it fires.
func at(due time.Time) minoots.TimerSpec {
	instant := minoots.InstantOf(due)
	return minoots.TimerSpec{FireAt: &instant}
}

// in is one that is due so long from now, by the database's clock.
func (w *world) in(d time.Duration) minoots.TimerSpec { return at(w.api.Clock().Now().Add(d)) }

// acting gives a timer actions.
func acting(spec minoots.TimerSpec, concurrency int, actions ...string) minoots.TimerSpec {
	bundle := minoots.Bundle{Concurrency: concurrency}
	for _, id := range actions {
		bundle.Actions = append(bundle.Actions, minoots.Action{ID: id, Kind: minoots.KindWebhook})
	}
	bundle = bundle.WithDefaults()
	spec.ActionBundle = &bundle
	return spec
}

// hint announces what was created, as the API does.
func (w *world) hint(created []db.Created) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	n := db.NewNotifier(w.api, silent())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		require.NoError(w, <-done)
	})
	for _, c := range created {
		n.Hint(c.DueAt)
	}
}

// running is a kernel that runs.
type running struct {
	*kernel.Kernel
	registry *prometheus.Registry
	stop     func() // and wait until it has stopped, in time and without an error
}

// start runs a kernel. Config's DB defaults to a pool of its own.
func (w *world) start(cfg kernel.Config) *running {
	w.Helper()
	if cfg.DB == nil {
		cfg.DB = w.connect(w.URL, 6)
	}
	if cfg.Planner == nil {
		cfg.Planner = &fakePlanner{}
	}
	if cfg.Log == nil {
		cfg.Log = silent()
	}
	cfg.Replica = "test"
	r := &running{registry: prometheus.NewRegistry()}
	cfg.Registerer = r.registry
	var err error
	r.Kernel, err = kernel.New(cfg)
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			assert.NoError(w, err, "Run")
		case <-time.After(soon):
			w.Error("Run did not end")
		}
	})
	w.Cleanup(r.stop)
	return r
}

// seated waits until the kernel has a seat.
func (r *running) seated(t testing.TB, seat int) {
	t.Helper()
	require.Eventually(t, func() bool { return r.Status().Seat == seat }, soon, tick, "seat %d", seat)
}

// metric gives a counter or gauge, summed over its labels.
func (r *running) metric(t testing.TB, name string) (sum float64) {
	t.Helper()
	families, err := r.registry.Gather()
	assert.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
			return sum
		}
	}
	t.Errorf("no metric %s", name)
	return 0
}
