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

// What is due later than urgentFor can wait for lazyEvery: the kernels will still
// know in time, and of creates at full rate 0.5 % of the commits carry a NOTIFY
// and not 18 (the bench's P9).
const (
	urgentFor = time.Second
	lazyEvery = 200 * time.Millisecond
)

// maxInstants is how many instants a payload carries: 17 bytes each, of the 8,000
// that NOTIFY takes. One transaction carries maxPayloads; of what is more the last
// says "+": read the window.
const (
	maxInstants = 450
	maxPayloads = 20
)

// Notifier tells the kernels of timers that were created and are due soon, off
// the creating transaction and coalesced. What it tells is a hint: a lost one
// costs lateness up to a poll interval.
type Notifier struct {
	db  *DB
	log *slog.Logger

	mu      sync.Mutex
	pending map[int64]struct{} // microseconds since 1970
	sendBy  time.Time          // when what is pending is to be sent
	wake    chan struct{}      // has a token when that has become earlier
}

// NewNotifier makes a Notifier. Run must run for it to notify.
func NewNotifier(d *DB, log *slog.Logger) *Notifier {
	return &Notifier{db: d, log: log, pending: map[int64]struct{}{}, wake: make(chan struct{}, 1)}
}

// Hint takes note of an instant if it is near. It never blocks.
func (n *Notifier) Hint(dueAt time.Time) {
	until := n.db.clock.Until(dueAt)
	if until > LookAhead {
		return
	}
	by := time.Now()
	if until > urgentFor {
		by = by.Add(lazyEvery)
	}
	n.note(by, dueAt)
}

// HintRearmed takes note of when timers are due again that one kernel has claimed
// in place of another, as far as they are near. It costs five notifications a second
// at most, even in a storm of recurring timers: what is due before the next of them
// is for the kernel that claimed, which knows it. It never blocks.
func (n *Notifier) HintRearmed(dueAt []time.Time) {
	told := slices.DeleteFunc(slices.Clone(dueAt), func(at time.Time) bool {
		until := n.db.clock.Until(at)
		return until <= lazyEvery || until > LookAhead
	})
	if len(told) > 0 {
		n.note(time.Now().Add(lazyEvery), told...)
	}
}

// note has instants sent by some time at the latest.
func (n *Notifier) note(by time.Time, instants ...time.Time) {
	n.mu.Lock()
	sooner := len(n.pending) == 0 || by.Before(n.sendBy)
	if sooner {
		n.sendBy = by
	}
	for _, at := range instants {
		n.pending[at.UnixMicro()] = struct{}{}
	}
	n.mu.Unlock()
	if sooner {
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
}

// Run sends what Hint noted until ctx is done. A notification that cannot be
// sent is dropped: the kernels poll.
func (n *Notifier) Run(ctx context.Context) error {
	var last time.Time
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.wake:
			n.mu.Lock()
			at := n.sendBy
			n.mu.Unlock()
			if gap := last.Add(notifyEvery); gap.After(at) {
				at = gap
			}
			alarm.Reset(time.Until(at))
			continue
		case <-alarm.C:
		}
		last = time.Now()
		if err := n.send(ctx); err != nil && !errors.Is(err, context.Canceled) {
			n.log.Warn("due timers not announced; kernels will find them by polling", "error", err)
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
	_, err := n.db.pool.Exec(ctx, dueNotifySQL, duePayloads(instants))
	return translate(err)
}

// duePayloads writes instants, the earliest first, as "micros,micros,…".
func duePayloads(instants []int64) []string {
	slices.Sort(instants)
	var all []string
	for chunk := range slices.Chunk(instants, maxInstants) {
		if len(all) == maxPayloads {
			all[maxPayloads-1] += ",+"
			break
		}
		var b strings.Builder
		for i, at := range chunk {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.FormatInt(at, 10))
		}
		all = append(all, b.String())
	}
	return all
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
