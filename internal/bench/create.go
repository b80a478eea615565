package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// createSingle is P1: POST /v1/timers, one replica with all roles. The timers
// are due in a year, so that creating is all that goes on.
func createSingle(ctx context.Context, l *lab) error {
	t, err := l.freshService(ctx, "p1", 1)
	if err != nil {
		return err
	}
	url := l.receiver.url("far")
	profiled := l.profile(ctx, "P1", t.fleet, l.size.warm+l.size.window)
	perSecond, err := rate(ctx, clients, l.size.warm, l.size.window, func(ctx context.Context, _, call int) (int, error) {
		return 1, t.create(ctx, json.RawMessage(refText(nil, call, farDue(call), url)))
	})
	profiled()
	if err := errors.Join(err, l.leave(t)); err != nil {
		return err
	}
	l.report.add("P1", fmt.Sprintf("POST /v1/timers, %d clients, %s", clients, t), perSecond, "timers/s")
	return nil
}

// The batches of P2: of the size that Postgres likes best, and enough callers
// that one is decoded while another is written.
const (
	batchTimers  = 1000
	batchClients = 4
)

// createBatch is P2: POST /v1/timers/batch.
func createBatch(ctx context.Context, l *lab) error {
	t, err := l.freshService(ctx, "p2", 1)
	if err != nil {
		return err
	}
	url := l.receiver.url("far")
	window := l.size.window
	if t.remember {
		window = min(window, 2*time.Second) // each of these timers must be cancelled
	}
	profiled := l.profile(ctx, "P2", t.fleet, l.size.warm+window)
	perSecond, err := rate(ctx, batchClients, l.size.warm, window, func(ctx context.Context, _, call int) (int, error) {
		return batchTimers, t.createBatch(ctx, refBatch(call*batchTimers, batchTimers, url))
	})
	profiled()
	if err := errors.Join(err, l.leave(t)); err != nil {
		return err
	}
	what := fmt.Sprintf("POST /v1/timers/batch of %s, %d clients, %s", number(batchTimers), batchClients, t)
	l.report.add("P2", what, perSecond, "timers/s")
	return nil
}
