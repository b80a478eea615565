package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/minoots/minoots"
)

// volley is timers that fall due at a steady rate for a while. They are created
// by the API before the first is due, in batches, as near timers are: with the
// notifications that they cause, and without the cost of the creates in what is
// measured.
type volley struct {
	warm, main *run
	begin, end time.Time // of the part that is measured
}

const (
	volleyBatch = 500
	// Creating must be over when the first timer is due. The allowance is for a
	// tenth of the rate of creation that two idle cores reach.
	volleyLead      = 2 * time.Second
	volleyPerSecond = 2000
)

// schedule creates a volley. The first second or so is not measured: it warms
// connections and statements.
func (l *lab) schedule(ctx context.Context, t *target, name string, perSecond int, window time.Duration) (*volley, error) {
	warm, main := count(perSecond, l.size.warm), count(perSecond, window)
	lead := volleyLead + time.Duration(warm+main)*time.Second/volleyPerSecond
	start := time.Now().Add(lead)
	v := &volley{
		warm: l.receiver.expect(name+"-warm", warm), main: l.receiver.expect(name, main),
		begin: start.Add(l.size.warm), end: start.Add(l.size.warm + window),
	}
	var batch []minoots.TimerSpec
	for i := range warm + main {
		url := v.main.url
		if i < warm {
			url = v.warm.url
		}
		batch = append(batch, refSpec(i, dueOf(start, i, perSecond), url))
		if len(batch) == volleyBatch || i == warm+main-1 {
			if err := t.createAll(ctx, batch); err != nil {
				return nil, fmt.Errorf("create timers: %w", err)
			}
			batch = batch[:0]
		}
	}
	t.made = nil // these fire by themselves
	if time.Now().After(start) {
		return nil, fmt.Errorf("%w: creating %d timers took more than %s", errSlow, warm+main, lead)
	}
	if l.sabotage != nil {
		return v, l.sabotage(ctx, t.database)
	}
	return v, nil
}

// lateness waits for a volley's webhooks and sums them up.
func (v *volley) lateness(ctx context.Context, patience time.Duration) (Lateness, error) {
	for _, n := range []*run{v.warm, v.main} {
		if err := n.wait(ctx, v.end, patience); err != nil {
			return Lateness{}, err
		}
	}
	return v.main.lateness(), nil
}

// measure is a volley from end to end.
func (l *lab) measure(ctx context.Context, t *target, name string, perSecond int) (Lateness, error) {
	v, err := l.schedule(ctx, t, name, perSecond, l.size.lateness)
	if err != nil {
		return Lateness{}, err
	}
	defer l.profile(ctx, name, t.fleet, time.Until(v.end))()
	return v.lateness(ctx, l.size.quiet)
}

func count(perSecond int, window time.Duration) int {
	return int(float64(perSecond) * window.Seconds())
}

// dueOf is when the i-th of a volley is due: somewhere in its slot, not at the
// slot's beginning, for a grid might fall in with the kernels' own rhythm.
func dueOf(start time.Time, i, perSecond int) time.Time {
	slot := time.Second / time.Duration(perSecond)
	return start.Add(time.Duration(i)*time.Second/time.Duration(perSecond) + rand.N(slot))
}
