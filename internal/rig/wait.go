package rig

import (
	"context"
	"fmt"
	"time"
)

// Pause waits, unless ctx is done first.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Until calls ask every so often until it says that it is so.
func Until(ctx context.Context, every, within time.Duration, what string, ask func() (bool, error)) error {
	deadline := time.Now().Add(within)
	for {
		so, err := ask()
		if err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		if so {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait until %s: not so after %s", what, within)
		}
		if err := Pause(ctx, every); err != nil {
			return err
		}
	}
}
