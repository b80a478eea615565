package kernel

import (
	"context"
	"sync"
	"time"

	"github.com/minoots/minoots"
)

// backlog is what was due when a claim came back full. Streams of its own drain
// it, while the loop goes on with what comes due next: a herd of one instant does
// not delay the timers after it. Row locks keep the streams, the loop and other
// kernels apart.
type backlog struct {
	mu      sync.Mutex
	streams int       // that drain
	began   time.Time // the streams see to all that was due from then
	upTo    time.Time // until then
	older   time.Time // a hint told of a timer from before
	ended   bool      // a stream has come to the end; the others follow
	wg      sync.WaitGroup
}

// from gives where a claim of the loop begins to look.
func (b *backlog) from(low time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.streams == 0 || b.ended {
		return low
	}
	if older := b.older; !older.IsZero() {
		b.older = time.Time{}
		return older
	}
	return later(low, b.upTo)
}

// hinted notes a timer that is due before all that the streams will see, and so
// is the loop's.
func (b *backlog) hinted(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.streams > 0 && at.Before(b.began) && (b.older.IsZero() || at.Before(b.older)) {
		b.older = at
	}
}

// grow has the streams drain what a full claim left. While they do, what the loop
// finds too much for itself is theirs too.
func (b *backlog) grow(ctx context.Context, k *Kernel, c catch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.upTo = later(b.upTo, c.at)
	if b.streams > 0 {
		// They are at older timers, and will come to these.
		return
	}
	b.ended, b.began, b.older = false, c.next, time.Time{}
	for range k.cfg.Streams {
		b.streams++
		b.wg.Go(func() { k.stream(ctx, c.next) })
	}
}

// leave ends a stream, and tells whether it was the last.
func (b *backlog) leave() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams--
	return b.streams == 0
}

// end has all streams end: one has found less than it asked for.
func (b *backlog) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

func (b *backlog) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

func (b *backlog) wait() { b.wg.Wait() }

// stream fires until a claim is not full, then has the loop look at what is left.
// A claim is as large as this replica has room for, so that in a storm replicas
// take what they can execute; one whose receivers are slow does not wait for them,
// and leaves the deliveries to the queues.
func (k *Kernel) stream(ctx context.Context, low time.Time) {
	limit, began := firstBatch, low
	for ctx.Err() == nil && !k.backlog.over() {
		limit = min(2*limit, k.cfg.Batch)
		take := limit
		if room := k.cfg.Planner.Room(ctx); room > 0 {
			take = min(take, max(1, room/k.cfg.Streams)) // the streams share it
		}
		c, err := k.fire(ctx, low, take, k.plan)
		if err != nil {
			k.trouble(ctx, low, err)
			break
		}
		if !c.full {
			break
		}
		low = c.next
	}
	k.backlog.end()
	if k.backlog.leave() {
		// What came due meanwhile, or was rolled back, is found from where all began.
		k.low.lowerTo(began)
		k.in.due([]time.Time{k.clock.Now()}, false)
	}
}

// trouble sees to a stream's failure.
func (k *Kernel) trouble(ctx context.Context, low time.Time, err error) {
	if minoots.ErrorCode(err) == minoots.CodeInvalid {
		_, err = k.isolate(ctx, low)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	if minoots.ErrorCode(err) == minoots.CodeUnavailable {
		k.db.Reset()
	}
	k.metrics.errors.WithLabelValues(stepFire.String()).Inc()
	k.log.Warn("firing a backlog failed; trying again", "error", err)
}
