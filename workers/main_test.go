package workers_test

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
	"github.com/minoots/minoots/workers"
)

func TestMain(m *testing.M) { testdb.Main(m) }

const (
	tick   = 5 * time.Millisecond // between two looks at Postgres
	soon   = 15 * time.Second     // how long a test waits for what must come
	tenant = "acme"
)

// world is a database, and workers on it.
type world struct {
	testing.TB
	URL      string
	Pool     *pgxpool.Pool // behind everybody's back
	database *testdb.DB
	api      *db.DB
	queues   *workers.Planner // puts all into queues, as a replica without workers does
}

func newWorld(t testing.TB) *world {
	database := testdb.New(t)
	w := &world{TB: t, URL: database.URL, Pool: database.Pool, database: database}
	w.api = w.connect(w.URL, 4)
	_, err := w.api.TenantCreate(t.Context(), tenant, "")
	require.NoError(t, err)
	w.queues = workers.NewPlanner(&actor{})
	return w
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (w *world) connect(url string, conns int32) *db.DB {
	w.Helper()
	return testdb.Connect(w, db.Config{URL: url, MaxConns: conns})
}

// bundle makes a bundle of webhooks, retried after 10 ms.
func bundle(concurrency int, actions ...string) *minoots.Bundle {
	b := minoots.Bundle{Concurrency: concurrency, RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 3, BackoffInitialMs: 10}}
	for _, id := range actions {
		b.Actions = append(b.Actions, minoots.Action{ID: id, Kind: minoots.KindWebhook})
	}
	b = b.WithDefaults()
	return &b
}

// fire makes timers with these bundles and fires them, as a kernel does.
func (w *world) fire(bundles ...*minoots.Bundle) []minoots.ID {
	w.Helper()
	return w.fireBy(w.plan(w.queues), bundles...)
}

func (w *world) fireBy(plan func(context.Context, db.Tx, []db.Fired) (*db.JobBatch, error), bundles ...*minoots.Bundle) []minoots.ID {
	w.Helper()
	timers := w.timersOf(bundles...)
	ids := make([]minoots.ID, len(timers))
	for i := range timers {
		ids[i] = timers[i].ID
	}
	_, err := w.api.TimerCreate(w.Context(), timers)
	require.NoError(w, err)
	fired, err := w.api.TimerClaim(w.Context(), db.ClaimRequest{Limit: len(bundles)}, plan)
	require.NoError(w, err)
	require.Len(w, fired, len(bundles))
	return ids
}

// timersOf are timers with these bundles, due now.
func (w *world) timersOf(bundles ...*minoots.Bundle) []db.NewTimer {
	now := minoots.InstantOf(w.api.Clock().Now().Add(-time.Second))
	timers := make([]db.NewTimer, len(bundles))
	for i, b := range bundles {
		timers[i] = db.NewTimer{ID: minoots.NewID(), TenantID: tenant, Spec: minoots.TimerSpec{FireAt: &now, ActionBundle: b}}
	}
	return timers
}

type planner interface {
	Plan(ctx context.Context, deliveries []minoots.Delivery) (*db.JobBatch, error)
}

// plan has a planner make the jobs of a claim.
func (w *world) plan(p planner) func(context.Context, db.Tx, []db.Fired) (*db.JobBatch, error) {
	return func(ctx context.Context, _ db.Tx, fired []db.Fired) (*db.JobBatch, error) {
		return p.Plan(ctx, deliveries(fired))
	}
}

// many repeats a bundle.
func many(n int, b *minoots.Bundle) []*minoots.Bundle {
	all := make([]*minoots.Bundle, n)
	for i := range all {
		all[i] = b
	}
	return all
}

// deliveries are the first ones of each firing; the kernel has its own.
func deliveries(fired []db.Fired) (all []minoots.Delivery) {
	for i := range fired {
		f := &fired[i]
		for _, action := range f.Bundle.Actions[:min(f.Bundle.Concurrency, f.Actions)] {
			all = append(all, f.Bundle.Delivers(action, minoots.Delivery{
				TenantID: f.TenantID, Timer: minoots.DeliveryTimer{ID: f.ID}, Occurrence: f.Occurrence,
				DueAt: minoots.Instant{Time: f.DueAt}, FiredAt: minoots.Instant{Time: f.FiredAt},
			}))
		}
	}
	return all
}

// running are workers that run.
type running struct {
	*workers.Workers
	registry *prometheus.Registry
	err      error  // of Run, to be read after stop
	stop     func() // and wait until it has ended, in time
}

// start runs workers. Config's DB defaults to a pool of its own.
func (w *world) start(cfg workers.Config) *running {
	w.Helper()
	if cfg.DB == nil {
		cfg.DB = w.connect(w.URL, 10)
	}
	if cfg.Replica == "" {
		cfg.Replica = minoots.NewID().String()
	}
	if cfg.Log == nil {
		cfg.Log = silent()
	}
	r := &running{registry: prometheus.NewRegistry()}
	cfg.Registerer = r.registry
	var err error
	r.Workers, err = workers.New(cfg)
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.err = r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			w.Error("Run did not end")
		}
	})
	w.Cleanup(func() {
		r.stop()
		assert.NoError(w, r.err, "Run")
	})
	return r
}
