package workers

import (
	"context"
	"sync"
	"time"

	"github.com/minoots/minoots/db"
)

// holdMost is how many jobs one statement puts back.
const holdMost = 1000

// holder puts running jobs back to wait for their destination, in batches of what
// gathers while the batch before is on its way.
type holder struct {
	b *breaker

	mu      sync.Mutex
	waiting []holding
	busy    bool // an errand is at it
}

// holding is a job, and where to tell that it is put back.
type holding struct {
	job  db.HeldJob
	done chan struct{} // nil if nobody waits
}

// put puts a job back, soon. What cannot be put back before the workers end stands
// as running here, and is found by whoever finds this process gone.
func (h *holder) put(job db.HeldJob) { h.add(holding{job: job}) }

// wait puts a job back, and waits until it is. The error is that of ctx.
func (h *holder) wait(ctx context.Context, job db.HeldJob) error {
	done := make(chan struct{})
	h.add(holding{job: job, done: done})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *holder) add(one holding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = append(h.waiting, one)
	if !h.busy {
		h.busy = true
		h.b.errands.run(h.run)
	}
}

// next gives the next batch; nil if there is none, and then it is not busy.
func (h *holder) next() []holding {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		h.busy, h.waiting = false, nil
		return nil
	}
	n := min(len(h.waiting), holdMost)
	batch := h.waiting[:n:n]
	h.waiting = h.waiting[n:]
	return batch
}

func (h *holder) run(ctx context.Context) {
	for batch := h.next(); batch != nil; batch = h.next() {
		if !h.hold(ctx, batch) {
			return
		}
	}
}

// hold puts a batch back, trying again until Postgres takes it or ctx is done.
func (h *holder) hold(ctx context.Context, batch []holding) bool {
	jobs := make([]db.HeldJob, len(batch))
	queues := map[string]bool{}
	for i := range batch {
		jobs[i] = batch[i].job
		queues[jobs[i].Queue] = true
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		held, err := h.try(ctx, jobs)
		if err == nil {
			h.b.metrics.held.Add(float64(held))
			break
		}
		h.b.log.Warn("deliveries not put back to wait for their destination; trying again", "deliveries", len(jobs), "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
	for i := range batch {
		if batch[i].done != nil {
			close(batch[i].done)
		}
	}
	h.b.pump.wake(queues)
	return true
}

func (h *holder) try(ctx context.Context, jobs []db.HeldJob) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return h.b.db.JobHold(ctx, h.b.replica, jobs)
}
