package db

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed query/due_notify.sql
var dueNotifySQL string

// LookAhead is how far ahead kernels know what is due. A timer due later needs
// no notification: the kernels' next read of their window finds it.
const LookAhead = 30 * time.Second

// notifyEvery is the least time between two notifications of a process. A
// transaction with a NOTIFY takes a lock of the whole cluster at its commit
// (measured on 2 cores: creates fall from 10,000/s to 4,600/s if each notifies).
const notifyEvery = 5 * time.Millisecond

// maxInstants is how many instants a payload carries, well below the 8,000
// bytes that NOTIFY takes. Past it the payload ends in "+": read the window.
const maxInstants = 100

// Notifier tells the kernels of timers that were created and are due soon, off
// the creating transaction and coalesced. What it tells is a hint: a lost one
// costs lateness up to a poll interval.
type Notifier struct {
	db  *DB
	log *slog.Logger

	mu      sync.Mutex
	pending map[int64]struct{} // microseconds since 1970
	wake    chan struct{}
}

// NewNotifier makes a Notifier. Run must run for it to notify.
func NewNotifier(d *DB, log *slog.Logger) *Notifier {
	return &Notifier{db: d, log: log, pending: map[int64]struct{}{}, wake: make(chan struct{}, 1)}
}

// Hint takes note of an instant if it is near. It never blocks.
func (n *Notifier) Hint(dueAt time.Time) {
	if n.db.clock.Until(dueAt) > LookAhead {
		return
	}
	n.mu.Lock()
	n.pending[dueAt.UnixMicro()] = struct{}{}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Run sends what Hint noted until ctx is done. A notification that cannot be
// sent is dropped: the kernels poll.
func (n *Notifier) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.wake:
		}
		if err := n.send(ctx); err != nil && !errors.Is(err, context.Canceled) {
			n.log.Warn("due timers not announced; kernels will find them by polling", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(notifyEvery):
		}
	}
}

func (n *Notifier) send(ctx context.Context) error {
	n.mu.Lock()
	instants := make([]int64, 0, len(n.pending))
	for at := range n.pending {
		instants = append(instants, at)
	}
	clear(n.pending)
	n.mu.Unlock()
	if len(instants) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := n.db.pool.Exec(ctx, dueNotifySQL, duePayload(instants))
	return translate(err)
}

// duePayload writes instants, the earliest first, as "micros,micros,…".
func duePayload(instants []int64) string {
	slices.Sort(instants)
	var b strings.Builder
	for i, at := range instants {
		if i == maxInstants {
			b.WriteString(",+")
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(at, 10))
	}
	return b.String()
}

// parseDue reads a payload. more says that the window must be read, as does a
// payload that is not understood: it may come from a newer version.
func parseDue(payload string) (instants []time.Time, more bool) {
	for part := range strings.SplitSeq(payload, ",") {
		micros, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return instants, true
		}
		instants = append(instants, time.UnixMicro(micros))
	}
	return instants, false
}
