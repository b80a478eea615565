package db

import (
	"context"
	"sync"
	"time"

	"github.com/minoots/minoots"
)

const (
	// coalesceStreams is how many statements of coalesced creates run at once.
	coalesceStreams = 2
	// coalesceMost bounds the timers of one statement.
	coalesceMost = 500
	// createTimeout is the deadline of a coalesced create.
	createTimeout = 10 * time.Second
)

// Coalescer turns concurrent creates of single timers into one statement, and so
// into one commit: while two statements run, what comes gathers for the next. An
// idle service creates at once. There is no timer and no goroutine of its own:
// a caller who finds a free stream carries what has gathered.
type Coalescer struct {
	db      *DB
	streams chan struct{}

	mu      sync.Mutex
	waiting []*creating
}

type creating struct {
	timer NewTimer
	taken bool // by a caller that carries it; guarded by Coalescer.mu
	done  chan struct{}
	made  Created
	err   error
}

// NewCoalescer makes a Coalescer on d.
func NewCoalescer(d *DB) *Coalescer {
	return &Coalescer{db: d, streams: make(chan struct{}, coalesceStreams)}
}

// TimerCreate is DB.TimerCreate for one timer. A caller whose ctx ends stops
// waiting, and does not know whether the timer was created.
func (c *Coalescer) TimerCreate(ctx context.Context, timer NewTimer) (Created, error) {
	mine := &creating{timer: timer, done: make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, mine)
	c.mu.Unlock()
	streams := c.streams
	for {
		select {
		case <-mine.done: // carried by this caller, or by another that took it before
			return mine.made, mine.err
		case streams <- struct{}{}:
			c.carry(ctx)
			<-streams
			if c.taken(mine) {
				streams = nil // nothing more to do than wait: a free stream would make this loop spin
			}
		case <-ctx.Done():
			return Created{}, translate(ctx.Err())
		}
	}
}

func (c *Coalescer) taken(g *creating) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return g.taken
}

// carry creates what has gathered. It goes on although its caller's ctx ends:
// others wait for it too.
func (c *Coalescer) carry(ctx context.Context) {
	c.mu.Lock()
	n := min(len(c.waiting), coalesceMost)
	group := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	for _, g := range group {
		g.taken = true
	}
	c.mu.Unlock()
	if n == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
	defer cancel()
	c.create(ctx, group)
	for _, g := range group {
		close(g.done)
	}
}

// create writes a group in one statement. If that fails for a fault of one of
// them, such as a text that cannot be stored, nothing was written, and each is
// tried alone, so that one caller's mistake is nobody else's error.
func (c *Coalescer) create(ctx context.Context, group []*creating) {
	timers := make([]NewTimer, len(group))
	for i, g := range group {
		timers[i] = g.timer
	}
	made, err := c.db.TimerCreate(ctx, timers)
	if err != nil && len(group) > 1 && minoots.ErrorCode(err) != minoots.CodeUnavailable {
		for _, g := range group {
			c.create(ctx, []*creating{g})
		}
		return
	}
	for i, g := range group {
		if g.err = err; err == nil {
			g.made, g.err = made[i], made[i].Err
		}
	}
}
