package kernel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/kernel"
)

// window gives n instants, a step apart.
func window(n int, first, step time.Duration) []time.Time {
	all := make([]time.Time, n)
	for i := range all {
		all[i] = after(first + time.Duration(i)*step)
	}
	return all
}

// nextRefresh is when the window is read next, while all goes its way.
func nextRefresh(t *testing.T, p *kernel.Pacer, clock *handClock) time.Time {
	t.Helper()
	for range kernel.MaxHeap {
		step, wait := p.Next()
		clock.advance(wait)
		switch step {
		case kernel.StepRefresh:
			return clock.at
		case kernel.StepFire:
			p.Fires()
			p.Fired(clock.at)
		case kernel.StepPoll:
			p.Polled()
		}
	}
	t.Fatal("no refresh")
	return time.Time{}
}

func TestPacerRefreshTime(t *testing.T) {
	t.Parallel()
	full := kernel.MaxHeap
	for _, c := range []struct {
		name   string
		window []time.Time
		want   time.Duration
	}{
		{"nothing is coming", nil, kernel.RefreshEvery},
		{"all that is coming is known", window(10, 20*time.Second, time.Second), kernel.RefreshEvery},
		{"the window is full: before its end", window(full, 5*time.Second, 100*time.Microsecond), 5*time.Second + time.Duration(full-1)*100*time.Microsecond - kernel.RefreshAhead},
		{"full, and past the next refresh anyway", window(full, 20*time.Second, 100*time.Microsecond), kernel.RefreshEvery},
		{"full of one instant, a storm to come", window(full, 5*time.Second, 0), 5*time.Second - kernel.RefreshAhead},
		{"full of one instant that is near: when it has come", window(full, 500*time.Millisecond, 0), 500 * time.Millisecond},
		{"full of what is due at once: after the gap", window(full, time.Millisecond, 0), kernel.RefreshGap},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, clock := settledPacer(0)
			p.Refreshed(epoch, c.window)
			assert.Equal(t, c.want, nextRefresh(t, p, clock).Sub(epoch))
		})
	}
}

func TestPacerWindowReplacesWhatWasKnown(t *testing.T) {
	t.Parallel()
	p, _ := settledPacer(0)
	p.Add(after(-time.Second))    // due, and not yet claimed: stays
	p.Add(after(2 * time.Second)) // cancelled meanwhile: goes
	p.Refreshed(epoch, window(2, 3*time.Second, time.Second))
	assert.Equal(t, 3, p.Known())
	requireNext(t, p, kernel.StepFire, 0)
	p.Fired(epoch)
	require.Equal(t, 2, p.Known())
	p.Fired(after(3*time.Second - time.Microsecond))
	require.Equal(t, 2, p.Known(), "nothing before the window's first")
	p.Fired(after(3 * time.Second))
	require.Equal(t, 1, p.Known())
}

// A heap that is full of what is far must still take in what is near.
func TestPacerFullHeapTakesANearInstant(t *testing.T) {
	t.Parallel()
	p, clock := settledPacer(0)
	p.Refreshed(epoch, window(kernel.MaxHeap, 10*time.Second, time.Millisecond))
	p.Add(after(50 * time.Millisecond))
	requireNext(t, p, kernel.StepFire, 50*time.Millisecond)
	// And what it pushed out is read again before it is due.
	pushedOut := 10*time.Second + kernel.MaxHeap/2*time.Millisecond
	assert.Equal(t, min(pushedOut-kernel.RefreshAhead, kernel.RefreshEvery), nextRefresh(t, p, clock).Sub(epoch))
}

func TestPacerRefreshSoonKeepsItsGap(t *testing.T) {
	t.Parallel()
	p, clock := settledPacer(0)
	reads := 0
	for clock.at.Before(after(time.Second)) {
		p.RefreshSoon() // a great batch notifies every few milliseconds
		if step, wait := p.Next(); wait == 0 {
			switch step {
			case kernel.StepRefresh:
				reads++
				p.Refreshed(clock.at, nil)
			case kernel.StepPoll:
				p.Polled()
			}
		}
		clock.advance(5 * time.Millisecond)
	}
	assert.InDelta(t, float64(time.Second/kernel.RefreshGap), float64(reads), 1)
}

func TestPacerRefreshSoonNeverDelays(t *testing.T) {
	t.Parallel()
	p, clock := settledPacer(0)
	clock.advance(kernel.RefreshEvery - kernel.RefreshGap/2)
	p.Polled()
	clock.advance(kernel.RefreshGap / 2)
	p.RefreshSoon()
	requireNext(t, p, kernel.StepRefresh, 0)
}

func TestPacerNewSeatRescans(t *testing.T) {
	t.Parallel()
	p, clock := settledPacer(1)
	clock.advance(10 * time.Millisecond)
	p.SetSeat(0)
	requireNext(t, p, kernel.StepPoll, 0)
	p.Polled()
	requireNext(t, p, kernel.StepRefresh, 0)
	p.Refreshed(clock.at, nil)
	_, wait := p.Next()
	assert.Positive(t, wait, "once")
}

// At rest a kernel costs next to nothing: a simulated day of both ranks.
func TestPacerADayAtRest(t *testing.T) {
	t.Parallel()
	for _, seat := range []int{0, 3} {
		p, clock := settledPacer(seat)
		taken := map[kernel.Step]int{}
		for clock.at.Before(after(24 * time.Hour)) {
			step, wait := p.Next()
			clock.advance(wait)
			taken[step]++
			switch step {
			case kernel.StepPoll:
				p.Polled()
				p.Looked(clock.at)
			case kernel.StepRefresh:
				p.Refreshed(clock.at, nil)
			default:
				t.Fatalf("%s, of nothing", step)
			}
		}
		assert.InDelta(t, 24*60*60, taken[kernel.StepPoll], 6000, "about one look a second")
		assert.InDelta(t, 24*60*4, taken[kernel.StepRefresh], 10)
	}
}
