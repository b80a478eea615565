package kernel_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/internal/startstop"
	"github.com/minoots/minoots/kernel"
)

// stopWithin is Run's promise: two seconds for the fire transaction under way,
// and one to take leave of a connection that does not answer any more.
const stopWithin = kernel.FinishTimeout + 1500*time.Millisecond

// restless is a kernel that is started anew in each life.
func (w *world) restless(cfg kernel.Config) startstop.Loop {
	cfg.Log, cfg.Replica = silent(), "restless"
	cfg.PollInterval, cfg.SweepInterval = 20*time.Millisecond, 30*time.Millisecond
	cfg.RetentionInterval, cfg.HistoryRetention, cfg.FinishedRetention = time.Second, 90*24*time.Hour, 90*24*time.Hour
	return startstop.Loop{
		Within: stopWithin, Longest: 150 * time.Millisecond,
		Run: func(ctx context.Context) error {
			k, err := kernel.New(cfg)
			if err != nil {
				return err
			}
			return k.Run(ctx)
		},
	}
}

func TestKernelStartsAndStopsUnderLoad(t *testing.T) {
	w := newWorld(t)
	database := w.connect(w.URL, 6)
	planner := &fakePlanner{do: func(ctx context.Context, _ []minoots.Delivery) error {
		return takes(ctx, time.Duration(rand.Int64N(int64(10*time.Millisecond))))
	}}
	made := 0
	l := w.restless(kernel.Config{DB: database, Planner: planner, ListenURL: w.URL, Batch: 5})
	l.Rounds = 40
	l.Meanwhile = func(int) {
		var specs []minoots.TimerSpec
		for range 10 {
			specs = append(specs, acting(w.in(time.Duration(rand.Int64N(int64(100*time.Millisecond)))), 1, "a"), w.in(0))
		}
		made += len(specs)
		w.create(specs...)
	}
	l.After = database.Close
	l.Stress(t)

	w.start(kernel.Config{ListenURL: w.URL})
	w.eventuallyFired(made)
	w.requireEachOnceNoneEarly(made)
}

func TestKernelStartsAndStopsWhilePostgresIsAway(t *testing.T) {
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	database := w.connect(p.URL(), 6)
	var entered atomic.Int64
	planner := &fakePlanner{do: func(context.Context, []minoots.Delivery) error { entered.Add(1); return nil }}
	l := w.restless(kernel.Config{DB: database, Planner: planner, ListenURL: p.URL(), Batch: 5, StepTimeout: time.Second})
	l.Rounds = 24
	made := 0
	l.Meanwhile = func(round int) {
		p.Set(faultproxy.Pass)
		for range 3 {
			w.create(acting(w.in(0), 1, "a"))
		}
		made += 3
		startstop.AnyMoment(50 * time.Millisecond)
		switch round % 6 {
		case 1:
			p.Cut()
		case 2, 3:
			p.Down()
		case 5:
			if round < 12 { // each may take all of the time
				p.Set(faultproxy.Stall)
			}
		}
	}
	l.After = func() {
		p.Set(faultproxy.Pass)
		p.Cut()
		database.Close()
	}
	l.Stress(t)

	w.start(kernel.Config{ListenURL: w.URL})
	w.eventuallyFired(made)
	w.requireEachOnceNoneEarly(made)
	assert.NotZero(t, entered.Load(), "some were fired in between")
}
