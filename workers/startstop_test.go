package workers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/internal/startstop"
	"github.com/minoots/minoots/workers"
)

// restless is a crew that is started anew in each life, under a new name. It is
// given half of its work by a kernel of its own replica, and takes the other half
// out of the queues.
type restless struct {
	*world
	loop startstop.Loop
	crew atomic.Pointer[workers.Crew]
	made int
}

// stopGrace is short, so that stops cut too.
const stopGrace = 50 * time.Millisecond

// stopWithin is what Run promises, with a second for a busy machine.
const stopWithin = stopGrace + 6*time.Second + time.Second

func (w *world) restless(a *actor, database, river *db.DB, listenURL string) *restless {
	r := &restless{world: w}
	var lives atomic.Int64
	r.loop = startstop.Loop{
		Within: stopWithin, Longest: 150 * time.Millisecond,
		Run: func(ctx context.Context) error {
			c, err := workers.NewCrew(workers.Config{
				DB: database, River: river, Actions: a, ListenURL: listenURL, Grace: stopGrace, Log: silent(),
				Replica: fmt.Sprintf("restless-%d", lives.Add(1)),
			})
			if err != nil {
				return err
			}
			r.crew.Store(c)
			return c.Run(ctx)
		},
	}
	return r
}

// work fires timers, some of them as the crew's own kernel would.
func (r *restless) work(timers int) {
	r.Helper()
	bundles := append(many(timers/2, bundle(1, "a")), many(timers-timers/2, bundle(2, "a", "b", "c"))...)
	r.made += 2 * timers
	r.fire(bundles...)
	r.fireBy(func(ctx context.Context, _ db.Tx, fired []db.Fired) (*db.JobBatch, error) {
		if c := r.crew.Load(); c != nil {
			return c.Plan(ctx, deliveries(fired))
		}
		return r.queues.Plan(ctx, deliveries(fired))
	}, bundles...)
}

// finish has one last crew do all that is left, with somebody to find the dead.
func (r *restless) finish() {
	r.Helper()
	r.reaper()
	r.man(workers.Config{Actions: &actor{}, ListenURL: r.URL})
	r.eventuallyOver(r.made)
	r.requireConsistent()
}

// sometimes fails now and then, and takes a few milliseconds.
func sometimes(ctx context.Context, _ minoots.Delivery, attempt int) minoots.Outcome {
	select {
	case <-time.After(time.Duration(rand.Int64N(int64(20 * time.Millisecond)))):
	case <-ctx.Done():
		return failed("cancelled", true)
	}
	if attempt == 1 && rand.IntN(10) == 0 {
		return failed("http_5xx", true)
	}
	return succeeded()
}

func TestCrewStartsAndStopsUnderLoad(t *testing.T) {
	w := newWorld(t)
	database, river := w.connect(w.URL, 4), w.connect(w.URL, 8)
	r := w.restless(&actor{do: sometimes}, database, river, w.URL)
	r.loop.Rounds = 32
	r.loop.Meanwhile = func(int) { r.work(6) }
	r.loop.After = func() { database.Close(); river.Close() }
	r.loop.Stress(t)
	r.finish()
	require.LessOrEqual(t, w.registered(), 1, "all but the last have struck themselves off, or were found lost")
}

func TestCrewStartsAndStopsWhilePostgresIsAway(t *testing.T) {
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	database, river := w.connect(p.URL(), 4), w.connect(p.URL(), 8)
	r := w.restless(&actor{do: sometimes}, database, river, p.URL())
	r.loop.Rounds = 8
	r.loop.MayFail = true // River may not have ended: it goes on until Postgres answers
	r.loop.Meanwhile = func(round int) {
		p.Set(faultproxy.Pass)
		r.work(4)
		startstop.AnyMoment(100 * time.Millisecond)
		switch round % 4 {
		case 1:
			p.Cut()
		case 2:
			p.Down()
		case 3:
			if round < 4 { // each takes seconds
				p.Set(faultproxy.Stall)
			}
		}
	}
	r.loop.After = func() {
		p.Set(faultproxy.Pass)
		p.Cut()
		database.Close()
		river.Close()
	}
	r.loop.Stress(t)
	r.finish()
}
