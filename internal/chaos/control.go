package chaos

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// controlEvery is the time between two probes of a control.
const controlEvery = 20 * time.Millisecond

// control is a timer without the service: it wakes up at an instant, commits in the
// same Postgres, and posts to the same receiver, again and again. What it is late by
// is the machine's doing, at that moment: other work, and that of processes which
// have just been started.
type control struct {
	stop context.CancelFunc
	over chan struct{}

	mu     sync.Mutex
	probes []probe // in order
}

// probe is one time that the control was due.
type probe struct {
	due  time.Time
	late time.Duration
}

// startControl begins to probe.
func (w *world) startControl(ctx context.Context) *control {
	c := &control{over: make(chan struct{})}
	ctx, c.stop = context.WithCancel(ctx)
	w.atEnd(c.close)
	go func() {
		defer close(c.over)
		for due := time.Now(); ; due = laterOf(due, time.Now()).Add(controlEvery) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(due)):
			}
			if w.probe(ctx) == nil {
				c.note(probe{due, time.Since(due)})
			}
		}
	}()
	return c
}

// probe does what the service does at least for a timer. One that fails says
// nothing of the machine.
func (w *world) probe(ctx context.Context) error {
	if _, err := w.db.pool.Exec(ctx, "SELECT pg_logical_emit_message(true, 'control', '')"); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.receiver.url+"/control", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	res, err := w.caller.http.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
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
}

// worst is the greatest lateness of a probe that was under way at some moment from
// from to until.
func (c *control) worst(from, until time.Time) (late time.Duration) {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// One at a time is under way: of those before, only the last may reach into it.
	at, _ := slices.BinarySearchFunc(c.probes, from, func(p probe, t time.Time) int { return p.due.Compare(t) })
	for _, p := range c.probes[max(at-1, 0):] {
		if p.due.After(until) {
			break
		}
		if !p.due.Add(p.late).Before(from) {
			late = max(late, p.late)
		}
	}
	return late
}
