package chaos

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// grace is longer than what is under way takes, whoever the receiver is.
const grace = 5 * time.Second

// graceful is a replica that is given that time.
var graceful = kind{env: []string{"MINOOTS_SHUTDOWN_GRACE=" + grace.String()}}

// rolling restarts all replicas one after another, as a deployment does.
func rolling(ctx context.Context, w *world) error {
	if err := w.begin(ctx, graceful, slowReceivers); err != nil {
		return err
	}
	var slowest time.Duration
	for _, m := range w.live() {
		took, err := w.terminate(ctx, m)
		if err != nil {
			return err
		}
		slowest = max(slowest, took)
		if _, err := w.start(ctx, 1, graceful); err != nil {
			return err
		}
	}
	t, err := w.settle(ctx)
	if err != nil {
		return err
	}
	w.row.note("the slowest stop took %s; p99 at the receiver %s", slowest.Round(time.Millisecond), t.percentile(99))
	w.row.must(w.row.Repeated == 0, "%d repeated", w.row.Repeated)
	w.row.must(slowest <= grace, "a stop took %s, longer than the grace", slowest.Round(time.Millisecond))
	for failure, n := range w.row.API {
		w.row.must(failure == refused, "%d API requests failed by %s", n, failure)
	}
	return nil
}

// terminate ends a graceful replica by SIGTERM and tells how long that took.
// Clients go on calling it until it refuses them.
func (w *world) terminate(ctx context.Context, m *member) (time.Duration, error) {
	began := time.Now()
	if err := m.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("terminate a replica: %w", err)
	}
	err := rig.Until(ctx, time.Millisecond, grace+15*time.Second, "a replica has stopped", func() (bool, error) { return m.Over(), nil })
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	w.remove(m)
	w.fault()
	w.row.must(m.Err() == nil, "a replica ended with %v", m.Err())
	return took, nil
}
