package kernel_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/kernel"
)

// mislead makes a clock believe that the database's is off by so much, as if by
// an answer that took no time at all.
func mislead(clock *db.Clock, off time.Duration) {
	now := time.Now()
	clock.Observe(now, now, now.Add(off))
}

// A replica whose idea of the time is wrong fires late at worst, never early.
func TestClockSkewFiresNothingEarly(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 5 * time.Second, "behind": -5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			database := w.connect(w.URL, 6)
			mislead(database.Clock(), off)
			w.create(w.in(300*time.Millisecond), w.in(400*time.Millisecond), w.in(500*time.Millisecond))
			w.start(kernel.Config{DB: database, PollInterval: never, SweepInterval: never})
			w.eventuallyFired(3)
			w.requireEachOnceNoneEarly(3)
			assert.Less(t, w.latest(), time.Second, "the first look has set the clock")
			assert.InDelta(t, 0, database.Clock().Skew().Seconds(), 0.1)
		})
	}
}

// Even one that is misled all the time, forward: each wake is too early, and what
// was found to be not yet due stays in the heap.
func TestClockMisledAllTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	database := w.connect(w.URL, 6)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for each := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-each.C {
			mislead(database.Clock(), 20*time.Millisecond)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	const timers = 30
	specs := make([]minoots.TimerSpec, timers)
	for i := range specs {
		specs[i] = w.in(200*time.Millisecond + time.Duration(i)*30*time.Millisecond)
	}
	w.create(specs...)
	w.start(kernel.Config{DB: database, PollInterval: never, SweepInterval: never})
	w.eventuallyFired(timers)
	w.requireEachOnceNoneEarly(timers)
	assert.Less(t, w.latest(), time.Second)
}

func TestClockSkewIsAMetric(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	database := w.connect(w.URL, 6)
	k := w.start(kernel.Config{DB: database, PollInterval: never, SweepInterval: never})
	w.create(w.in(0))
	k.stop()
	mislead(database.Clock(), 7*time.Second)
	assert.InDelta(t, 7, k.metric(t, "minoots_clock_skew_seconds"), 0.1)
}
