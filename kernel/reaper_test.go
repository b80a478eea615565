package kernel_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/kernel"
)

// worker is a process that runs actions, as far as the database can tell.
type worker struct {
	*db.Presence
	name string
}

// register makes a worker that is kept alive until the test ends.
func (w *world) register(directURL string) *worker {
	w.Helper()
	p := &worker{name: minoots.NewID().String()}
	p.Presence = w.api.NewPresence(p.name, directURL, silent())
	require.NoError(w, p.Register(w.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	kept := make(chan struct{})
	go func() { defer close(kept); _ = p.Keep(ctx) }()
	w.Cleanup(func() {
		cancel()
		<-kept
		p.Leave(context.Background(), false)
	})
	return p
}

// kill ends the worker's connection, as the end of its process does.
func (w *world) kill(p *worker) {
	w.Helper()
	w.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = left('minoots-presence-' || $1, 63)", p.name)
}

// hand fires timers and has the worker run their first actions.
func (w *world) hand(p *worker, timers, actions int) {
	w.Helper()
	names := []string{"a", "b"}[:actions]
	specs := make([]minoots.TimerSpec, timers)
	for i := range specs {
		specs[i] = acting(w.in(-time.Second), 1, names...)
	}
	w.create(specs...)
	fired, err := w.api.TimerClaim(w.Context(), db.ClaimRequest{Limit: timers}, func(_ context.Context, _ db.Tx, fired []db.Fired) (*db.JobBatch, error) {
		jobs := &db.JobBatch{Replica: p.name, Jobs: make([]db.Job, len(fired))}
		for i := range fired {
			f := &fired[i]
			args, err := json.Marshal(minoots.Delivery{
				TenantID: f.TenantID, Timer: minoots.DeliveryTimer{ID: f.ID}, Occurrence: f.Occurrence,
				DueAt: minoots.Instant{Time: f.DueAt}, Action: f.Bundle.Actions[0], Alone: f.Actions == 1,
			})
			require.NoError(w, err)
			jobs.Jobs[i] = db.Job{Here: true, Queue: "webhook", MaxAttempts: 5, Args: args}
		}
		return jobs, nil
	})
	require.NoError(w, err)
	require.Len(w, fired, timers)
}

const again = "SELECT count(*) FROM river.river_job WHERE state = 'available' AND (args ->> 'generation')::int = 1"

// Whatever a dead process was running is on its way again within two seconds,
// once, however many kernels look; what the living run is left alone.
func TestReaperDispatchesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 40
	dead, alive := w.register(w.URL), w.register(w.URL)
	w.hand(dead, timers, 1)
	w.hand(alive, timers, 1)
	older := &worker{name: "of a version that does not register"}
	w.hand(older, timers, 1)
	var kernels []*running
	for seat := range 3 {
		k := w.start(kernel.Config{ListenURL: w.URL})
		k.seated(t, seat)
		kernels = append(kernels, k)
	}
	kernels = append(kernels, w.start(kernel.Config{}), w.start(kernel.Config{}))
	began := time.Now()
	w.kill(dead)
	require.Eventually(t, func() bool { return w.count(again) == timers }, soon, tick)
	assert.Less(t, time.Since(began), 2*time.Second)
	found, jobs := 0.0, 0.0
	for _, k := range kernels {
		k.stop()
		found += k.metric(t, "minoots_replicas_lost_total")
		jobs += k.metric(t, "minoots_jobs_redispatched_total")
	}
	assert.Equal(t, 1.0, found)
	assert.Equal(t, float64(timers), jobs)
	assert.Equal(t, timers, w.count(again))
	assert.Equal(t, 2*timers, w.count("SELECT count(*) FROM river.river_job WHERE state = 'running'"))
	assert.Equal(t, timers, w.count("SELECT count(*) FROM minoots.attempts WHERE error_class = 'lost' AND status = 'retrying'"))
	assert.Zero(t, w.count(`SELECT count(*) FROM minoots.attempts a JOIN minoots.replicas r USING (replica)
		WHERE a.finished_at < r.lost_at + $1::interval`, kernel.ReapGrace), "they have had their grace")
}

// The kernel in the first seat may be the one that stands still.
func TestReaperInHigherSeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seat, err := w.Pool.Acquire(t.Context())
	require.NoError(t, err)
	defer seat.Release()
	_, err = seat.Exec(t.Context(), "SELECT pg_advisory_lock(7702, 0)")
	require.NoError(t, err)
	dead := w.register(w.URL)
	w.hand(dead, 1, 1)
	w.start(kernel.Config{ListenURL: w.URL}).seated(t, 1)
	w.kill(dead)
	require.Eventually(t, func() bool { return w.count(again) == 1 }, soon, tick)
	_, err = seat.Exec(t.Context(), "SELECT pg_advisory_unlock(7702, 0)")
	require.NoError(t, err)
}

// A job that a dead process still fetches, because its statement was under way,
// is found too.
func TestReaperFindsLateFetches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := w.register("") // by a lease
	w.hand(dead, 1, 1)
	w.start(kernel.Config{})
	w.kill(dead)
	w.exec("UPDATE minoots.replicas SET lost_at = now()")
	require.Eventually(t, func() bool { return w.count(again) == 1 }, soon, tick)
	w.hand(dead, 3, 1)
	require.Eventually(t, func() bool { return w.count(again) == 4 }, soon, tick)
}

// An action that was the end of every process that ran it fails, and the next of
// its bundle is run.
func TestReaperGivesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := w.register(w.URL)
	w.hand(dead, 1, 1)
	w.hand(dead, 1, 2)
	w.exec("UPDATE river.river_job SET args = jsonb_set(args, '{generation}', to_jsonb($1::int))", db.LossesMost-1)
	e := &fakePlanner{}
	k := w.start(kernel.Config{Planner: e})
	w.kill(dead)
	const failed = "SELECT count(*) FROM minoots.timer_states WHERE status = 'failed' AND failure_reason LIKE '%lost%'"
	require.Eventually(t, func() bool { return w.count(failed) == 1 && len(e.got()) == 1 }, soon, tick)
	assert.Equal(t, "b", e.got()[0].Action.ID)
	require.Eventually(t, func() bool { return k.metric(t, "minoots_jobs_abandoned_total") == 2 }, soon, tick)
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"))
}

// The next action may be one of which no job can be made.
func TestReaperGivesUpWhatCannotFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := w.register(w.URL)
	w.hand(dead, 1, 2)
	w.exec("UPDATE river.river_job SET state = 'discarded', finalized_at = now()")
	w.start(kernel.Config{Planner: &unstorableJobs{}})
	require.Eventually(t, func() bool {
		return w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'failed'") == 1
	}, soon, tick)
}

// unstorableJobs plans what Postgres does not take.
type unstorableJobs struct{ fakePlanner }

func (*unstorableJobs) Plan(context.Context, []minoots.Delivery) (*db.JobBatch, error) {
	return &db.JobBatch{Jobs: []db.Job{{Queue: "webhook", MaxAttempts: 1, Args: []byte(unstorable)}}}, nil
}

// What River has discarded is settled by the sweep, the first of which is at the
// start.
func TestReaperSettlesDiscardedJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alive := w.register(w.URL)
	w.hand(alive, 2, 1)
	w.exec("UPDATE river.river_job SET state = 'discarded', finalized_at = now()")
	for range 2 {
		w.start(kernel.Config{})
	}
	require.Eventually(t, func() bool {
		return w.count("SELECT count(*) FROM minoots.firings WHERE status = 'failed' AND reason <> ''") == 2
	}, soon, tick)
	assert.Equal(t, 2, w.count("SELECT count(*) FROM minoots.events WHERE type = 'timer.failed'"))
}

// A kernel that was cut off goes on looking when Postgres is back.
func TestReaperAfterAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	k := w.start(kernel.Config{DB: w.connect(p.URL(), 6), Log: slog.New(slog.DiscardHandler)})
	dead := w.register(w.URL)
	w.hand(dead, 5, 1)
	p.Down()
	w.kill(dead)
	require.Eventually(t, func() bool { return k.metric(t, "minoots_kernel_errors_total") >= 2 }, soon, tick)
	p.Set(faultproxy.Pass)
	require.Eventually(t, func() bool { return w.count(again) == 5 }, soon, tick)
}
