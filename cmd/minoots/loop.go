package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// loop is a part of the replica that runs until it is told to stop. A nil loop
// is a part that this replica does not have.
type loop struct {
	name   string
	run    func(context.Context) error
	cancel context.CancelFunc
	done   chan struct{}
	err    error // to be read after done
}

// start runs the loop, and tells ended if it ends unasked.
func (l *loop) start(ctx context.Context, ended chan<- *loop) {
	ctx, l.cancel = context.WithCancel(ctx)
	l.done = make(chan struct{})
	go func() {
		defer close(l.done)
		l.err = l.run(ctx)
		if ctx.Err() == nil {
			ended <- l
		}
	}()
}

// stop asks the loop to end and waits until it has, for a while. A loop that has
// ended by itself has been reported already.
func (l *loop) stop(within time.Duration) error {
	if l == nil {
		return nil
	}
	select {
	case <-l.done:
		return nil
	default:
	}
	l.cancel()
	select {
	case <-l.done:
		if l.err != nil && !errors.Is(l.err, context.Canceled) {
			return fmt.Errorf("stop the %s: %w", l.name, l.err)
		}
		return nil
	case <-time.After(within):
		return fmt.Errorf("stop the %s: it has not ended after %s", l.name, within)
	}
}

// cause is why the loop ended by itself.
func (l *loop) cause() error {
	<-l.done
	if l.err == nil {
		return errors.New("without an error")
	}
	return l.err
}
