package reader

import (
	"context"
	"sync/atomic"
)

// Switch says whether there is anything to read for. While there is not, the
// reader asks Postgres nothing, not even for its lease. It begins off; a nil one is
// always on.
type Switch struct {
	is    atomic.Bool
	woken chan struct{}
}

// NewSwitch makes one that is off.
func NewSwitch() *Switch { return &Switch{woken: make(chan struct{}, 1)} }

// Set switches. It never blocks.
func (s *Switch) Set(on bool) {
	if s.is.Swap(on) != on && on {
		select {
		case s.woken <- struct{}{}:
		default:
		}
	}
}

func (s *Switch) on() bool { return s == nil || s.is.Load() }

// wait waits until it is on, or until ctx is done: then it is false.
func (s *Switch) wait(ctx context.Context) bool {
	for !s.on() {
		select {
		case <-ctx.Done():
			return false
		case <-s.woken:
		}
	}
	return true
}
