package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameSignal is how soon a second signal counts as the first one's echo: programs
// such as timeout(1) send one to the process and one to its group.
const sameSignal = 100 * time.Millisecond

// untilSignal gives a context that the first SIGINT, SIGTERM or SIGHUP ends, for
// an orderly stop. The second one is from somebody in a hurry: the process ends
// at once. That is safe, as any crash is: what was under way is done again.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		var first time.Time
		for {
			select {
			case <-done:
				return
			case got := <-signals:
				switch {
				case first.IsZero():
					first = time.Now()
				case time.Since(first) > sameSignal:
					fmt.Fprintf(os.Stderr, "minoots: second signal (%s): cut short\n", got)
					os.Exit(exitFailed)
				}
				cancel()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}
