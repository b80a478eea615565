package workers

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/fault"
)

const (
	// recorderStreams is how many groups are committed at once: while one waits
	// for its commit, the next gathers.
	recorderStreams = 2
	// groupMost bounds a group: measured, outcomes/s are 1,500 one by one, 9,600
	// in tens, 19,500 in hundreds, 16,400 in 250 and 13,400 in 500 (BenchmarkRecord).
	groupMost = 250
	// recordGap is the least time between two groups of a stream: at a light load
	// it makes groups of what came within it, and an outcome that comes alone is
	// committed at once.
	recordGap = 10 * time.Millisecond
	// recordTimeout is the deadline of one group's commit.
	recordTimeout = 10 * time.Second
)

// planFunc makes jobs of the actions that follow, in the transaction.
type planFunc func(context.Context, db.Tx, []minoots.Delivery) (*db.JobBatch, error)

// recorder commits outcomes in groups. A worker hands its outcome over and waits
// for the commit; whatever gathered while the last group was being committed is
// the next group, so that groups grow with the load and an idle service commits
// at once.
type recorder struct {
	db      *db.DB
	replica string
	plan    planFunc
	metrics *metrics
	log     *slog.Logger
	in      chan *pending
	close   func()        // no more outcomes are to be expected
	closing chan struct{} // closed by close
	ended   chan struct{} // closed when the last is committed
}

// pending is an outcome, and where to tell what became of it.
type pending struct {
	record db.OutcomeRecord
	done   chan error // nil if nobody waits
}

func newRecorder(d *db.DB, replica string, plan planFunc, m *metrics, log *slog.Logger) *recorder {
	r := &recorder{
		db: d, replica: replica, plan: plan, metrics: m, log: log,
		in: make(chan *pending, 2*groupMost), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	r.close = sync.OnceFunc(func() { close(r.closing) })
	return r
}

// errClosed is given to a worker that outlived its cut.
var errClosed = errors.New("recorder is closed")

// record waits until the outcome is committed. It takes no context: the delivery
// was made, so its outcome is to be kept whatever becomes of the worker.
func (r *recorder) record(rec db.OutcomeRecord) error {
	p := &pending{record: rec, done: make(chan error, 1)}
	if !r.put(p) {
		return errClosed
	}
	select {
	case err := <-p.done:
		return err
	case <-r.ended:
	}
	select {
	case err := <-p.done: // it was among the last
		return err
	default:
		return errClosed
	}
}

// submit hands an outcome over without waiting for more than room.
func (r *recorder) submit(rec db.OutcomeRecord) {
	if !r.put(&pending{record: rec}) {
		r.unrecorded(1, errClosed)
	}
}

func (r *recorder) put(p *pending) bool {
	select {
	case r.in <- p:
		return true
	case <-r.closing:
		return false
	}
}

func (r *recorder) unrecorded(outcomes int, err error) {
	r.metrics.recordErrors.Inc()
	r.log.Error("outcomes not recorded; their actions will be repeated", "outcomes", outcomes, "error", err)
}

// run commits until close is called and all is committed, or ctx is done.
func (r *recorder) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range recorderStreams {
		wg.Go(func() {
			for group := r.gather(); group != nil; group = r.gather() {
				began := time.Now()
				r.commit(ctx, group)
				r.rest(began)
			}
		})
	}
	wg.Wait()
	close(r.ended)
}

// rest waits until the gap after a group is over, unless there is a full one.
func (r *recorder) rest(began time.Time) {
	wait := time.Until(began.Add(recordGap))
	if wait <= 0 || len(r.in) >= groupMost {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.closing:
	}
}

// gather waits for an outcome and takes what else is there; nil at the end.
func (r *recorder) gather() []*pending {
	var group []*pending
	select {
	case p := <-r.in:
		group = append(group, p)
	case <-r.closing:
	}
	for len(group) < groupMost {
		select {
		case p := <-r.in:
			group = append(group, p)
		default:
			return group
		}
	}
	return group
}

// commit records a group and tells the workers. One outcome that Postgres
// refuses must not take the others with it: the group is halved until it stands
// alone, is then recorded without what may be the matter, and if it is the
// actions to follow of which no jobs can be made, the firing is failed.
func (r *recorder) commit(ctx context.Context, group []*pending) {
	live, err := r.persist(ctx, group, r.plan)
	if err != nil && ctx.Err() == nil {
		if half := len(group) / 2; half > 0 {
			r.commit(ctx, group[:half])
			r.commit(ctx, group[half:])
			return
		}
		r.log.Error("an outcome could not be recorded as it is", "webhook_id", group[0].record.Delivery.WebhookID(), "error", err)
		group[0].record.Outcome = bare(group[0].record.Outcome)
		if live, err = r.persist(ctx, group, r.plan); minoots.ErrorCode(err) == minoots.CodeInvalid {
			live, err = r.persist(ctx, group, r.fail)
		}
	}
	if err != nil {
		r.unrecorded(len(group), err)
	}
	for i, p := range group {
		if err == nil && !live[i] {
			// Another took this job over meanwhile, or the commit had succeeded
			// although its answer was lost. Either way it is not ours any more.
			r.metrics.superseded.Inc()
		}
		if err == nil && live[i] {
			r.metrics.ended(&p.record)
		}
		if p.done != nil {
			p.done <- err
		}
	}
}

// persist commits a group, trying again while Postgres is away: recording twice
// is harmless, so a commit whose outcome is unknown is simply done again.
func (r *recorder) persist(ctx context.Context, group []*pending, plan planFunc) ([]bool, error) {
	records := make([]db.OutcomeRecord, len(group))
	for i, p := range group {
		records[i] = p.record
	}
	began := time.Now()
	for failures := 0; ; failures++ {
		live, err := r.try(ctx, records, plan)
		if err == nil {
			r.metrics.recorded(len(group), time.Since(began))
		}
		if err == nil || ctx.Err() != nil || minoots.ErrorCode(err) != minoots.CodeUnavailable {
			return live, err
		}
		r.metrics.recordRetries.Inc()
		r.log.Warn("outcomes not recorded yet; trying again", "outcomes", len(group), "error", err)
		r.db.Reset() // the pool's other connections are probably dead too
		pause := min(50*time.Millisecond<<min(failures, 5), time.Second)
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

func (r *recorder) try(ctx context.Context, records []db.OutcomeRecord, plan planFunc) ([]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	fault.Point("record.gathered")
	live, err := r.db.OutcomeRecord(ctx, r.replica, records, plan)
	fault.Point("record.committed")
	return live, err
}

// bare is an outcome without the texts that came from outside.
func bare(o minoots.Outcome) minoots.Outcome {
	o.Response = nil
	if o.Error != "" {
		o.Error = "the error's text could not be stored"
	}
	return o
}

// fail fails a firing of whose next actions no jobs can be made.
func (r *recorder) fail(ctx context.Context, tx db.Tx, next []minoots.Delivery) (*db.JobBatch, error) {
	d := &next[0] // all of one firing: the group has one outcome
	r.log.Error("firing failed: no jobs can be made of its next actions", "webhook_id", d.WebhookID())
	return nil, db.FiringFail(ctx, tx, d.Timer.ID, d.Occurrence, d.DueAt.Time,
		"a later action holds a value that cannot be stored in a job")
}
