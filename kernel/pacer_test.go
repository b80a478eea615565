package kernel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/kernel"
)

const poll = time.Second

// handClock is moved by hand.
type handClock struct{ at time.Time }

func (c *handClock) Now() time.Time          { return c.at }
func (c *handClock) advance(d time.Duration) { c.at = c.at.Add(d) }

// settledPacer has nothing overdue: it has just refreshed and polled.
func settledPacer(seat int) (*kernel.Pacer, *handClock) {
	clock := &handClock{at: epoch}
	p := kernel.NewPacer(clock, poll)
	p.SetSeat(seat)
	p.Refreshed(epoch, nil)
	p.Polled()
	return p, clock
}

func requireNext(t *testing.T, p *kernel.Pacer, step kernel.Step, wait time.Duration) {
	t.Helper()
	gotStep, gotWait := p.Next()
	require.Equal(t, step.String(), gotStep.String())
	require.Equal(t, wait, gotWait)
}

func TestPacerBeginsWithAFullLook(t *testing.T) {
	t.Parallel()
	clock := &handClock{at: epoch}
	p := kernel.NewPacer(clock, poll)
	p.Add(epoch) // even if something is due: what is due is among what the first poll finds
	requireNext(t, p, kernel.StepPoll, 0)
	p.Polled()
	p.Looked(epoch)
	requireNext(t, p, kernel.StepRefresh, 0)
	p.Refreshed(epoch, nil)
	step, wait := p.Next()
	assert.Equal(t, kernel.StepPoll, step)
	assert.InDelta(t, poll, wait, float64(poll)/10)
}

func TestPacerStepComesAtItsTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		seat int
		do   func(*kernel.Pacer)
		step kernel.Step
		wait time.Duration
	}{
		{"seat 0 fires at the instant", 0,
			func(p *kernel.Pacer) { p.Add(after(300 * time.Millisecond)) }, kernel.StepFire, 300 * time.Millisecond},
		{"so does a kernel without a seat", db.NoSeat,
			func(p *kernel.Pacer) { p.Add(after(300 * time.Millisecond)) }, kernel.StepFire, 300 * time.Millisecond},
		{"the earliest instant counts", 0,
			func(p *kernel.Pacer) { p.Add(after(200 * time.Millisecond)); p.Add(after(100 * time.Millisecond)) },
			kernel.StepFire, 100 * time.Millisecond},
		{"what is due fires at once", 0,
			func(p *kernel.Pacer) { p.Add(after(-time.Minute)) }, kernel.StepFire, 0},
		{"claims keep a gap", 0,
			func(p *kernel.Pacer) { p.Fires(); p.Fired(epoch); p.Add(after(time.Millisecond)) }, kernel.StepFire, kernel.FireGap},
		{"seat 1 backs up a little later", 1,
			func(p *kernel.Pacer) { p.Add(after(300 * time.Millisecond)) }, kernel.StepBackup, 300*time.Millisecond + kernel.BackupDelay},
		{"seat 3 later", 3,
			func(p *kernel.Pacer) { p.Add(after(300 * time.Millisecond)) }, kernel.StepBackup, 300*time.Millisecond + 3*kernel.BackupDelay},
		{"all higher seats alike", 200,
			func(p *kernel.Pacer) { p.Add(after(300 * time.Millisecond)) }, kernel.StepBackup, 300*time.Millisecond + 4*kernel.BackupDelay},
		{"seat 1 looks rarely", 1,
			func(p *kernel.Pacer) { p.Looked(epoch); p.Add(after(time.Millisecond)) }, kernel.StepBackup, kernel.BackupGap},
		{"seat 2 more rarely", 2,
			func(p *kernel.Pacer) { p.Looked(epoch); p.Add(after(time.Millisecond)) }, kernel.StepBackup, 2 * kernel.BackupGap},
		{"a refresh soon keeps its gap", 0,
			func(p *kernel.Pacer) { p.RefreshSoon() }, kernel.StepRefresh, kernel.RefreshGap},
		{"a new seat looks again at everything", 1,
			func(p *kernel.Pacer) { p.SetSeat(0) }, kernel.StepPoll, 0},
		{"a poll that failed is due again", 0,
			func(p *kernel.Pacer) { p.Failed(kernel.StepPoll) }, kernel.StepPoll, 0},
		{"a fire that failed becomes a poll", 0,
			func(p *kernel.Pacer) { p.Failed(kernel.StepFire) }, kernel.StepPoll, 0},
		{"a back-up too", 1,
			func(p *kernel.Pacer) { p.Failed(kernel.StepBackup) }, kernel.StepPoll, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, _ := settledPacer(c.seat)
			c.do(p)
			requireNext(t, p, c.step, c.wait)
		})
	}
}

func TestPacerOrderOfOverdueSteps(t *testing.T) {
	t.Parallel()
	p, clock := settledPacer(0)
	clock.advance(kernel.RefreshEvery) // poll and refresh are overdue, in the order of their times
	p.Add(clock.at)
	requireNext(t, p, kernel.StepPoll, 0) // it has waited longer than patience allows
	p.Polled()
	requireNext(t, p, kernel.StepFire, 0) // before a refresh that is due just now
	p.Fires()
	p.Fired(clock.at)
	requireNext(t, p, kernel.StepRefresh, 0)
	p.Refreshed(clock.at, nil)
	step, wait := p.Next()
	assert.Equal(t, kernel.StepPoll, step)
	assert.Positive(t, wait)
}

// Under a steady load something is always due. The other steps then wait no
// longer than patience, and all get their turn.
func TestPacerLoadStarvesNoStep(t *testing.T) {
	t.Parallel()
	p, clock := settledPacer(0)
	taken := map[kernel.Step]int{}
	const seconds = 60
	for clock.at.Before(after(seconds * time.Second)) {
		p.Add(clock.at)
		step, wait := p.Next()
		require.LessOrEqual(t, wait, kernel.FireGap)
		taken[step]++
		switch step {
		case kernel.StepFire:
			p.Fires()
			p.Fired(clock.at)
		case kernel.StepPoll:
			p.Polled()
		case kernel.StepRefresh:
			p.Refreshed(clock.at, nil)
		}
		clock.advance(3 * time.Millisecond)
	}
	assert.GreaterOrEqual(t, taken[kernel.StepPoll], seconds/3)
	assert.GreaterOrEqual(t, taken[kernel.StepRefresh], 3)
	assert.Greater(t, taken[kernel.StepFire], 100*taken[kernel.StepPoll], "what is due goes first")
}

func TestPacerJitter(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 200 {
		p, _ := settledPacer(0)
		step, wait := p.Next()
		require.Equal(t, kernel.StepPoll, step)
		require.GreaterOrEqual(t, wait, poll*9/10)
		require.LessOrEqual(t, wait, poll*11/10)
		seen[wait] = true
	}
	assert.Greater(t, len(seen), 100, "kernels that start together do not stay together")
}

func TestPacerKeepsWhatTheClaimCameTooEarlyFor(t *testing.T) {
	t.Parallel()
	p, clock := settledPacer(0)
	p.Add(after(100 * time.Millisecond))
	clock.advance(100 * time.Millisecond)
	requireNext(t, p, kernel.StepFire, 0)
	p.Fires()
	p.Fired(after(99 * time.Millisecond)) // the database's clock is 1 ms behind our estimate
	requireNext(t, p, kernel.StepFire, kernel.FireGap)
	clock.advance(kernel.FireGap)
	p.Fires()
	p.Fired(after(101 * time.Millisecond))
	step, _ := p.Next()
	assert.NotEqual(t, kernel.StepFire, step, "claimed, forgotten")
}
