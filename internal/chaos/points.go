package chaos

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/minoots/minoots/internal/fault"
	"github.com/minoots/minoots/internal/rig"
)

func needsFaults(cfg Config) error {
	return needsBinary(cfg.Faults, "go build -tags faults -o %s ./cmd/minoots")
}

func needsBinary(path, how string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("no %s: "+how+", or 'make chaos'", path, path)
	}
	return nil
}

// killAtPoints has replicas kill themselves at each of the fault points in turn:
// three that are armed, each to die at another passing; whoever dies is followed
// by one that is not.
func killAtPoints(ctx context.Context, w *world) error {
	if _, err := w.start(ctx, replicas, kind{}); err != nil {
		return err
	}
	w.startLoad(ctx, w.window(), slowReceivers)
	if err := w.untilDue(ctx, 0); err != nil {
		return err
	}
	slice := time.Until(w.load.end) / time.Duration(len(fault.Points))
	var reached []string
	for i, point := range fault.Points {
		died, err := w.killAt(ctx, point, w.load.begin.Add(time.Duration(i+1)*slice))
		if err != nil {
			return err
		}
		w.row.must(died > 0, "nobody came to %s", point)
		reached = append(reached, fmt.Sprintf("%s %d", point, died))
	}
	t, err := w.settle(ctx)
	if err != nil {
		return err
	}
	w.row.note("deaths: %s; what was merely due came at most %s late", strings.Join(reached, ", "), t.worst.Round(time.Millisecond))
	return nil
}

// killAt replaces the fleet by armed replicas and tells how many died until then.
func (w *world) killAt(ctx context.Context, point string, until time.Time) (died int, err error) {
	before := w.live()
	var armed []*member
	for range replicas {
		env := fmt.Sprintf("MINOOTS_FAULT=%s:%d", point, 1+w.rng.IntN(5)) // some points only bundles come to
		m, err := w.start(ctx, 1, kind{executable: w.h.cfg.Faults, env: []string{env}})
		if ctx.Err() != nil {
			return died, context.Cause(ctx)
		}
		if err != nil { // it may have died before it said that it is ready
			w.say("%s: %v", point, err)
			continue
		}
		armed = append(armed, m...)
	}
	w.retire(ctx, before) // only now: somebody must be there
	for time.Now().Before(until) {
		for i, m := range armed {
			if m == nil || !m.Over() {
				continue
			}
			armed[i] = nil
			died++
			w.died(ctx, m, time.Now(), map[string]bool{})
			if _, err := w.start(ctx, 1, kind{}); err != nil {
				return died, err
			}
		}
		if err := rig.Pause(ctx, time.Millisecond); err != nil {
			return died, err
		}
	}
	return died, nil
}

// retire ends replicas in order. One that is still armed may come to its point
// meanwhile, or have come there just now.
func (w *world) retire(ctx context.Context, members []*member) {
	for _, m := range members {
		_ = m.Process.Signal(syscall.SIGTERM) // it may be gone
	}
	for _, m := range members {
		<-m.Done
		if m.Err() != nil {
			w.died(ctx, m, time.Now(), map[string]bool{})
		}
		w.remove(m)
	}
}
