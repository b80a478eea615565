package kernel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/minoots/minoots/kernel"
)

// modelTimer is a row: it can be seen from a moment on, may be locked by another
// replica for a while, and is gone when it is claimed.
type modelTimer struct {
	due, seen time.Time
	locked    bool
	gone      bool
}

// table is a model of the due index, and of a kernel that looks at it.
type table struct {
	now    time.Time
	timers []*modelTimer
	low    kernel.LowWater
	batch  int
}

// claim takes what it can, from the mark on, like Kernel.drain.
func (w *table) claim(low time.Time) {
	for {
		n := 0
		for _, timer := range w.timers {
			if n < w.batch && !timer.gone && !timer.locked && !timer.seen.After(w.now) && !timer.due.Before(low) && !timer.due.After(w.now) {
				timer.gone = true
				n++
			}
		}
		if n < w.batch {
			w.low.RaiseTo(w.now)
			return
		}
	}
}

// look is Kernel.look: it sees locked rows too.
func (w *table) look(low time.Time) {
	for _, timer := range w.timers {
		if !timer.gone && !timer.seen.After(w.now) && !timer.due.Before(low) && !timer.due.After(w.now) {
			w.claim(low)
			return
		}
	}
	w.low.RaiseTo(w.now)
}

// sweep is Kernel.sweep, and the poll that follows: it tells of what that would pass
// over.
func (w *table) sweep() {
	below := w.low.ForPoll()
	for _, timer := range w.left() {
		if timer.due.Before(below) {
			w.low.LowerTo(timer.due)
		}
	}
	w.look(w.low.ForPoll())
}

// left lists what could have been claimed and was not.
func (w *table) left() (left []*modelTimer) {
	for _, timer := range w.timers {
		if !timer.gone && !timer.locked && !timer.seen.After(w.now) && !timer.due.After(w.now) {
			left = append(left, timer)
		}
	}
	return left
}

// run checks the model with timers that can be seen at most maxLag after they are
// due, whether they were committed late or their claim rolled back.
func (w *table) run(t *rapid.T, maxLag time.Duration, rollbacks bool, check func(*rapid.T, kernel.Step)) {
	w.now, w.batch = epoch, rapid.IntRange(1, 4).Draw(t, "batch")
	duration := func(label string, most time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(most/time.Millisecond)).Draw(t, label)) * time.Millisecond
	}
	lastPoll := w.now
	actions := map[string]func(*rapid.T){
		"create": func(*rapid.T) {
			due := w.now.Add(duration("due in", 3*time.Second) - duration("ago", time.Second))
			seen := w.now
			if lag := w.now.Sub(due); lag < maxLag {
				seen = w.now.Add(duration("commits in", maxLag-max(lag, 0)))
			} else {
				due = w.now
			}
			w.timers = append(w.timers, &modelTimer{due: due, seen: seen})
		},
		"time": func(*rapid.T) { w.now = w.now.Add(duration("passes", time.Second)) },
		"claim": func(t *rapid.T) {
			w.claim(w.low.ForClaim())
			check(t, kernel.StepFire)
		},
	}
	if rollbacks {
		actions["another locks"] = func(t *rapid.T) {
			for _, timer := range w.left() {
				timer.locked = rapid.Bool().Draw(t, "locks")
			}
		}
		actions["another ends"] = func(t *rapid.T) {
			for _, timer := range w.timers {
				if timer.locked {
					timer.locked, timer.gone = false, rapid.Bool().Draw(t, "commits")
				}
			}
		}
	}
	actions[""] = func(t *rapid.T) {
		for _, timer := range w.timers { // no lock outlives the lag, and polls come in time
			if timer.locked && w.now.Sub(timer.due) >= maxLag-time.Second {
				timer.locked = false
			}
		}
		if w.now.Sub(lastPoll) >= time.Second {
			lastPoll = w.now
			w.look(w.low.ForPoll())
			check(t, kernel.StepPoll)
		}
	}
	t.Repeat(actions)
}

func TestLowWaterClaimFindsWhatCommitsALittleLate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &table{}
		w.run(t, kernel.ClaimSlack, false, func(t *rapid.T, _ kernel.Step) {
			assert.Empty(t, w.left(), "every look finds all")
		})
	})
}

func TestLowWaterPollFindsWhatRolledBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &table{}
		// A second for the time between two polls, and one for the step of time.
		w.run(t, kernel.PollSlack-2*time.Second, true, func(t *rapid.T, s kernel.Step) {
			if s != kernel.StepFire {
				assert.Empty(t, w.left(), "no poll passes over a timer")
			}
		})
	})
}

func TestLowWaterSweepFindsAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &table{}
		w.run(t, time.Hour, true, func(*rapid.T, kernel.Step) {})
		w.sweep()
		assert.Empty(t, w.left())
	})
}

// The negative twin: the mark does leave something out, which is what it is for.
func TestLowWaterClaimLeavesOutWhatIsFarBelow(t *testing.T) {
	t.Parallel()
	w := &table{now: after(time.Minute), batch: 10}
	w.claim(w.low.ForClaim())
	w.timers = []*modelTimer{
		{due: w.now.Add(-kernel.ClaimSlack - time.Millisecond), seen: w.now},
		{due: w.now.Add(-kernel.ClaimSlack), seen: w.now},
	}
	w.claim(w.low.ForClaim())
	assert.Equal(t, []*modelTimer{w.timers[0]}, w.left(), "for the poll")
	w.look(w.low.ForPoll())
	assert.Empty(t, w.left())
}

func TestLowWaterHintLowersIt(t *testing.T) {
	t.Parallel()
	var low kernel.LowWater
	assert.True(t, low.ForClaim().IsZero(), "at first all is looked at")
	low.LowerTo(after(-time.Hour))
	assert.True(t, low.ForClaim().IsZero(), "nothing to lower")
	low.RaiseTo(epoch)
	assert.Equal(t, after(-kernel.ClaimSlack), low.ForClaim())
	assert.Equal(t, after(-kernel.PollSlack), low.ForPoll())
	low.LowerTo(after(time.Hour))
	assert.Equal(t, after(-kernel.ClaimSlack), low.ForClaim(), "an instant to come changes nothing")
	low.LowerTo(after(-time.Hour))
	assert.Equal(t, after(-time.Hour-kernel.ClaimSlack), low.ForClaim())
	low.RaiseTo(after(-2 * time.Hour))
	assert.Equal(t, after(-time.Hour-kernel.ClaimSlack), low.ForClaim(), "it does not sink by raising")
}
