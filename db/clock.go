package db

import (
	"context"
	_ "embed"
	"sync"
	"time"
)

// Clock estimates the database's clock, the authority for what is due, from the
// answers that carry its time. It runs on this process's monotonic clock, so a
// replica whose wall clock is wrong, or jumps, still wakes at the right moment.
type Clock struct {
	start time.Time // has the monotonic reading that everything counts from

	mu     sync.Mutex
	offset time.Duration // database minus (start + elapsed)
	err    time.Duration // half the width of the interval that offset is known to lie in
	at     time.Duration // elapsed at the last observation
	known  bool
}

// drift is how fast the estimate's error grows: 100 µs a second, ten times what
// a bad quartz does, so that a fresh exact sample soon replaces an old one.
const drift = 100e-6

// resolution is that of Postgres: what it reads may be that much behind.
const resolution = time.Microsecond

// NewClock gives a clock that agrees with this machine's until it observes.
func NewClock() *Clock { return &Clock{start: time.Now()} }

// Now is the database's time as far as it is known, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.start.Round(0).Add(time.Since(c.start) + c.offset).UTC()
}

// Until is the time from now to t on the database's clock.
func (c *Clock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

// Skew is the database's clock minus this machine's wall clock: what an
// operator wants to see. Positive when the machine is behind.
func (c *Clock) Skew() time.Duration { return c.Now().Sub(time.Now().Round(0)) }

// Observe learns from a statement that was sent and whose answer was received at
// those local times, and in between read the database's clock as at. The true
// offset lies within the round trip: the narrowest interval wins, and one that
// contradicts it (the database's clock was set) replaces it.
func (c *Clock) Observe(sent, received, at time.Time) {
	half := received.Sub(sent) / 2
	middle := sent.Sub(c.start) + half
	offset := at.Sub(c.start.Round(0)) - middle
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed := received.Sub(c.start)
	c.err += time.Duration(float64(elapsed-c.at) * drift)
	c.at = elapsed
	contradicts := (offset - c.offset).Abs() > half+c.err+resolution
	if !c.known || contradicts || half <= c.err {
		c.offset, c.err, c.known = offset, half, true
	}
}

//go:embed query/clock_read.sql
var clockReadSQL string

// MeasureClock reads the database's clock once.
func (d *DB) MeasureClock(ctx context.Context) error {
	var at time.Time
	sent := time.Now()
	if err := d.pool.QueryRow(ctx, clockReadSQL).Scan(&at); err != nil {
		return translate(err)
	}
	d.clock.Observe(sent, time.Now(), at)
	return nil
}
