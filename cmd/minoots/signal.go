package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal gives a context that the first SIGINT, SIGTERM or SIGHUP ends, for
// an orderly stop. The second one is from somebody in a hurry: the process ends
// at once. That is safe, as any crash is: what was under way is done again.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for range 2 {
			select {
			case <-done:
				return
			case got := <-signals:
				if ctx.Err() != nil {
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
