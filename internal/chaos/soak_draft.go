package chaos

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/minoots/minoots"
)

// soakAway is when the timers are due that are due only long after the run: later
// than any retention looks.
const soakAway = 400 * 24 * time.Hour

// draft is a timer on its way.
type draft struct {
	spec    minoots.TimerSpec
	distant bool
	cancel  time.Duration // so long after its creation; 0 for never
}

// draw makes up a timer and says whose it is.
func (l *soakLoad) draw() (draft, *caller, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	d := draft{}
	key := fmt.Sprintf("soak-%d", l.next)
	d.spec = minoots.TimerSpec{Name: key, RequestedBy: "chaos"}
	between := func(from, to time.Duration) time.Duration { return from + time.Duration(l.rng.Int64N(int64(to-from))) }
	in := between(2*time.Second, l.farthest) // the usual
	switch n := l.rng.IntN(100); {
	case n < 10:
		in, d.distant = soakAway, true
	case n < 15: // cancelled, maybe too late
		in = between(time.Second, 3*time.Second)
		d.cancel = between(time.Millisecond, in+200*time.Millisecond)
	case n < 55: // at once, by the service's clock
		near := minoots.Duration(between(50*time.Millisecond, 2*time.Second))
		d.spec.Duration = &near
	}
	if d.spec.Duration == nil {
		at := minoots.InstantOf(time.Now().Add(in).Truncate(time.Microsecond))
		d.spec.FireAt = &at
	}
	d.spec.ActionBundle = l.bundle()
	return d, l.callers[l.rng.IntN(len(l.callers))], key
}

// bundle is one to three webhooks, to receivers of all sorts. The lock is held.
func (l *soakLoad) bundle() *minoots.Bundle {
	behaviour, hold := behaviourGood, time.Duration(0)
	switch n := l.rng.IntN(100); {
	case n < 7:
		behaviour = behaviourFlaky
	case n < 10:
		behaviour = behaviourGone
	case n < 15:
		hold = 300 * time.Millisecond
	case n < 16:
		hold = 3 * time.Second
	}
	actions := 1
	switch n := l.rng.IntN(10); {
	case n < 1:
		actions = 3
	case n < 3:
		actions = 2
	}
	b := &minoots.Bundle{
		Concurrency: 1 + l.rng.IntN(2), RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 8, BackoffInitialMs: 200, BackoffMaxMs: 2000},
	}
	url := fmt.Sprintf("%s/soak/%s/%d", l.world.receiver.url, behaviour, hold.Microseconds())
	parameters, _ := json.Marshal(map[string]string{"url": url}) // a map of strings always encodes
	for i := range actions {
		b.Actions = append(b.Actions, minoots.Action{ID: fmt.Sprint(i), Kind: minoots.KindWebhook, Parameters: parameters})
	}
	return b
}
