package chaos

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

const (
	// controlEvery is the time between two probes of a control, and controlRounds
	// their work: some 5 ms of a CPU. A probe that only woke up would see little: who
	// mostly sleeps is let in at once, when all others wait their turn (beside a load
	// of 12 on two cores, a commit and a post were 50 to 130 ms late where a takeover
	// was 280 to 460).
	controlEvery  = 60 * time.Millisecond
	controlRounds = 20
	controlBytes  = 256 << 10
)

// control says how slow the machine is at each moment, by doing the same work again
// and again: how long that takes, beside the least it has taken. What a process has
// to share a CPU with others for takes it longer by as much.
type control struct {
	stop context.CancelFunc
	over chan struct{}

	mu     sync.Mutex
	probes []probe // in order
	least  time.Duration
}

// probe is one time that the work was done.
type probe struct {
	began time.Time
	took  time.Duration
}

// startControl begins to work.
func (w *world) startControl(ctx context.Context) *control {
	c := &control{over: make(chan struct{})}
	ctx, c.stop = context.WithCancel(ctx)
	w.atEnd(c.close)
	go func() {
		defer close(c.over)
		tick := time.NewTicker(controlEvery)
		defer tick.Stop()
		work := make([]byte, controlBytes/controlRounds)
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			p := probe{began: time.Now()}
			for range controlRounds {
				sum := sha256.Sum256(work)
				copy(work, sum[:])
			}
			p.took = time.Since(p.began)
			c.note(p)
		}
	}()
	return c
}

// close ends it.
func (c *control) close() {
	c.stop()
	<-c.over
}

func (c *control) note(p probe) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probes = append(c.probes, p)
	if c.least == 0 || p.took < c.least {
		c.least = p.took
	}
}

// slowdown tells how many times slower than at its best the machine was, from from
// until until: the mean of what was under way then. 1 without a control.
func (c *control) slowdown(from, until time.Time) float64 {
	if c == nil {
		return 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// One at a time is under way: of those before, only the last may reach into it.
	at, _ := slices.BinarySearchFunc(c.probes, from, func(p probe, t time.Time) int { return p.began.Compare(t) })
	var took time.Duration
	n := 0
	for _, p := range c.probes[max(at-1, 0):] {
		if p.began.After(until) {
			break
		}
		if !p.began.Add(p.took).Before(from) {
			took, n = took+p.took, n+1
		}
	}
	if n == 0 {
		return 1
	}
	return float64(took) / float64(n) / float64(c.least)
}
