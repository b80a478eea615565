package workers_test

import (
	"context"
	"fmt"
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

// startDesk runs workers and waits until they take deliveries.
func (w *world) startDesk(cfg workers.Config) *running {
	w.Helper()
	k := w.start(cfg)
	require.Eventually(w, func() bool { return k.Room(w.Context()) > 0 }, soon, tick)
	return k
}

// fireHere fires timers as the kernel of the same replica does.
func (w *world) fireHere(k *running, bundles ...*minoots.Bundle) []minoots.ID {
	w.Helper()
	return w.fireBy(w.plan(k.Planner), bundles...)
}

// named gives deliveries to a destination of that name.
func (w *world) named(p *workers.Planner, name string) func(context.Context, db.Tx, []db.Fired) (*db.JobBatch, error) {
	return func(ctx context.Context, _ db.Tx, fired []db.Fired) (*db.JobBatch, error) {
		all := deliveries(fired)
		for i := range all {
			all[i].Timer.Name = name
		}
		return p.Plan(ctx, all)
	}
}

func TestDeskRunsWhatItsOwnKernelClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &actor{}
	k := w.startDesk(workers.Config{Actions: a})
	w.fireHere(k, many(100, bundle(1, "a"))...)
	w.fireHere(k, bundle(1, "a", "b", "c"), bundle(3, "a", "b", "c"))
	w.eventuallyOver(102)
	w.requireConsistent()
	assert.Len(t, a.attempts(), 106, "each once")
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"))
	here := k.counter(t, "minoots_deliveries_placed_total")
	assert.Equal(t, 106.0, here)
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_queue WHERE name LIKE '%-%'"), "no lane")
}

// A failed attempt goes back to River, which makes the others.
func TestDeskHandsRetriesToRiver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &actor{do: func(_ context.Context, _ minoots.Delivery, n int) minoots.Outcome {
		if n < 3 {
			return failed("http_status", true)
		}
		return succeeded()
	}}
	k := w.startDesk(workers.Config{Actions: a})
	w.fireHere(k, bundle(1, "a"))
	w.eventuallyOver(1)
	w.requireConsistent()
	made := a.attempts()
	require.Len(t, made, 3)
	for i, m := range made {
		assert.Equal(t, i+1, m.number)
		assert.Equal(t, made[0].webhookID, m.webhookID)
	}
	assert.Equal(t, 2, w.count("SELECT count(*) FROM minoots.attempts WHERE status = 'retrying'"))
	assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'settled'"))
}

// A retry that is far off waits for River's scheduler, one that is near for a poll.
func TestDeskRetryStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &actor{do: func(_ context.Context, d minoots.Delivery, _ int) minoots.Outcome {
		out := failed("http_status", true)
		if d.Timer.Name == "later" {
			out.RetryAfter = time.Minute
		} else {
			out.RetryAfter = 4 * time.Second
		}
		return out
	}}
	k := w.startDesk(workers.Config{Actions: a})
	slowly := bundle(1, "a")
	slowly.RetryPolicy.BackoffMaxMs = 3_600_000
	w.fireBy(w.named(k.Planner, "later"), slowly)
	w.fireBy(w.named(k.Planner, "soon"), slowly)
	w.eventually(1, "SELECT count(*) FROM river.river_job WHERE state = 'retryable' AND scheduled_at > now() + interval '50 s' AND attempt = 1")
	w.eventually(1, "SELECT count(*) FROM river.river_job WHERE state = 'available' AND scheduled_at > now() + interval '1 s' AND attempt = 1")
}

// A slow receiver keeps to its share of the slots, and what it leaves behind does
// not wait here.
func TestDeskSlowDestinationLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const slots, slow = 20, 100
	release := make(chan struct{})
	open := sync.OnceFunc(func() { close(release) })
	t.Cleanup(open)
	a := &actor{}
	var mu sync.Mutex
	inside, most := 0, 0
	a.do = func(_ context.Context, d minoots.Delivery, _ int) minoots.Outcome {
		if d.Timer.Name == "slow" {
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			<-release
			mu.Lock()
			inside--
			mu.Unlock()
		}
		return succeeded()
	}
	k := w.startDesk(workers.Config{Actions: a, Concurrency: slots})
	w.fireBy(w.named(k.Planner, "slow"), many(slow, bundle(1, "a"))...)
	// It has a quarter here, and as many in its lane; the others wait in the lane.
	w.eventually(slow-2*slots/4, "SELECT count(*) FROM river.river_job WHERE state = 'available' AND queue LIKE 'webhook-%'")
	assert.Equal(t, 1.0, k.family(t, "minoots_lanes_open")[0].GetGauge().GetValue())
	w.fireBy(w.named(k.Planner, "quick"), many(200, bundle(1, "a"))...)
	w.eventuallyOver(200)
	mu.Lock()
	assert.Equal(t, 2*slots/4, most)
	mu.Unlock()
	// Known to be slow, its next go to the lane without waiting here.
	w.fireBy(w.named(k.Planner, "slow"), many(10, bundle(1, "a"))...)
	assert.Equal(t, slow-2*slots/4+10, w.count("SELECT count(*) FROM river.river_job WHERE state = 'available' AND queue LIKE 'webhook-%'"))
	open()
	w.eventuallyOver(200 + slow + 10)
	w.requireConsistent()
}

// One that answers may have most of the slots, and not all.
func TestDeskQuickDestinationMayHaveMost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const slots = 20
	a := &actor{do: func(ctx context.Context, _ minoots.Delivery, _ int) minoots.Outcome {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
		return succeeded()
	}}
	k := w.startDesk(workers.Config{Actions: a, Concurrency: slots})
	for range 20 { // no more at once than there is room for
		w.fireHere(k, many(slots, bundle(1, "a"))...)
	}
	w.eventuallyOver(20 * slots)
	assert.LessOrEqual(t, a.together(), slots*3/4+slots/4, "here and in its lane")
	w.requireConsistent()
}

// What cannot be taken goes where River finds it: into the flow's lane if it has
// its share here, into the queue of all if others have taken the room.
func TestDeskOverflows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hold := make(chan struct{})
	a := &actor{do: func(context.Context, minoots.Delivery, int) minoots.Outcome { <-hold; return succeeded() }}
	k := w.startDesk(workers.Config{Actions: a, Concurrency: 4})
	for _, name := range []string{"one", "two", "three"} {
		w.fireBy(w.named(k.Planner, name), many(20, bundle(1, "a"))...)
	}
	placed := map[string]float64{}
	for _, m := range k.family(t, "minoots_deliveries_placed_total") {
		placed[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	close(hold)
	w.eventuallyOver(60)
	w.requireConsistent()
	assert.Len(t, a.attempts(), 60)
	assert.Equal(t, 60.0, placed["here"]+placed["queue"]+placed["lane"])
	assert.GreaterOrEqual(t, placed["here"], 12.0, "three quarters of a buffer of 16")
	assert.GreaterOrEqual(t, placed["lane"], 8.0, "the others of the first")
	assert.Positive(t, placed["queue"], "others found it full")
}

// A stop hands back what has not begun, at once, for others.
func TestDeskStopHandsBackWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := make(chan struct{})
	a := &actor{do: func(context.Context, minoots.Delivery, int) minoots.Outcome { <-release; return succeeded() }}
	k := w.startDesk(workers.Config{Actions: a, Concurrency: 8})
	w.fireHere(k, many(20, bundle(1, "a"))...)
	a.eventuallyMade(t, 2)
	stopped := make(chan struct{})
	go func() { k.stop(); close(stopped) }()
	require.Eventually(t, func() bool {
		return w.count("SELECT count(*) FROM river.river_job WHERE state = 'running'") == len(a.attempts())
	}, soon, tick, "the others are back while these still run")
	close(release)
	<-stopped
	begun := len(a.attempts())
	assert.Equal(t, 20-begun, w.count("SELECT count(*) FROM river.river_job WHERE state = 'available' AND attempt = 0 AND attempted_by IS NULL"))
	b := &actor{}
	w.start(workers.Config{Actions: b})
	w.eventuallyOver(20)
	assert.Len(t, b.attempts(), 20-begun)
	w.requireConsistent()
}

// A cut attempt goes back to its queue as if it had not been made.
func TestDeskCutAttemptGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &actor{do: func(ctx context.Context, _ minoots.Delivery, _ int) minoots.Outcome {
		<-ctx.Done()
		return failed("cancelled", true)
	}}
	k := w.startDesk(workers.Config{Actions: a, Grace: 10 * time.Millisecond})
	w.fireHere(k, many(5, bundle(1, "a"))...)
	a.eventuallyMade(t, 5)
	k.stop()
	assert.Equal(t, 5, w.count("SELECT count(*) FROM river.river_job WHERE state = 'available' AND attempt = 0"))
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.attempts"))
}

// When the answer of the commit is lost, Postgres is asked, and what was
// committed begins here; what was not is not begun.
func TestDeskResolvesACommitWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprint(committed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := &actor{}
			k := w.startDesk(workers.Config{Actions: a})
			p := faultproxy.New(t, w.URL)
			fragile := w.connect(p.URL(), 1)
			_, err := w.api.TimerCreate(t.Context(), w.timersOf(bundle(1, "a")))
			require.NoError(t, err)
			// The connection knows its statements, so that all goes in one round trip.
			_, err = fragile.TimerClaim(t.Context(), db.ClaimRequest{Limit: 1}, w.plan(k.Planner))
			require.NoError(t, err)
			_, err = w.api.TimerCreate(t.Context(), w.timersOf(bundle(2, "a", "b")))
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err = fragile.TimerClaim(ctx, db.ClaimRequest{Limit: 1}, func(ctx context.Context, tx db.Tx, fired []db.Fired) (*db.JobBatch, error) {
				if committed {
					p.Set(faultproxy.Mute) // what is sent arrives, what is answered does not
				} else {
					p.Set(faultproxy.Stall)
				}
				return w.plan(k.Planner)(ctx, tx, fired)
			})
			require.Error(t, err)
			p.Cut()
			if !committed {
				require.Never(t, func() bool { return len(a.attempts()) > 1 }, 300*time.Millisecond, tick)
				p.Set(faultproxy.Pass)
				_, err = w.api.TimerClaim(t.Context(), db.ClaimRequest{Limit: 1}, w.plan(k.Planner))
				require.NoError(t, err)
			}
			w.eventuallyOver(2)
			assert.Len(t, a.attempts(), 3, "each once")
			w.requireConsistent()
		})
	}
}
