package workers

import (
	"bytes"
	"context"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/jsonwrite"
)

// Planner makes jobs of deliveries and decides where each runs: here at once, if
// this replica has workers with room, else in the queue of its kind, which all
// replicas fetch from, or, if its flow would crowd out others there, in a lane.
type Planner struct {
	actions Executor
	replica string
	gates   *gates                       // nil in a replica without workers
	desks   map[minoots.ActionKind]*desk // none in a replica without workers
	crowd   *crowd
	// unknown is given the jobs of a transaction of which nobody knows whether
	// it committed.
	unknown func(*plan)
	placed  func([]db.Job) // counts them
}

// NewPlanner makes the Planner of a replica without workers: all its deliveries
// go to the queues.
func NewPlanner(actions Executor) *Planner {
	return &Planner{actions: actions, crowd: newCrowd(), unknown: func(*plan) {}, placed: func([]db.Job) {}}
}

// plan is the jobs of one transaction, and the tasks that are to begin here.
type plan struct {
	jobs  db.JobBatch
	tasks []*task // nil for jobs that go to a queue; else at the job's index
	desks []*desk

	// args and its JSON are of the delivery at hand, and here so that each is
	// allocated once.
	args minoots.Delivery
	text []byte
}

// Plan makes the jobs. A delivery that cannot be written as JSON is CodeInvalid.
func (p *Planner) Plan(_ context.Context, deliveries []minoots.Delivery) (*db.JobBatch, error) {
	n := len(deliveries)
	pl := &plan{tasks: make([]*task, n), desks: make([]*desk, n)}
	pl.jobs = db.JobBatch{Replica: p.replica, Jobs: make([]db.Job, n)}
	pl.jobs.Done = func(err error) { p.done(pl, err) }
	now := time.Now()
	for i := range deliveries {
		if err := p.place(pl, i, &deliveries[i], now); err != nil {
			pl.release()
			return nil, err
		}
	}
	return &pl.jobs, nil
}

// argsEncoder writes the arguments of an actionJob, which has the fields of its
// Delivery.
var argsEncoder = jsonwrite.New[minoots.Delivery]()

// place decides where one delivery runs.
func (p *Planner) place(pl *plan, i int, d *minoots.Delivery, now time.Time) error {
	pl.args = *d
	if d.Policy.IsDefault() {
		pl.args.Policy = minoots.RetryPolicy{} // left out; see actionJob
	}
	var err error
	if pl.text, err = argsEncoder.Append(pl.text[:0], &pl.args); err != nil {
		return &minoots.Error{Code: minoots.CodeInvalid, Message: "the delivery cannot be written as JSON", Err: err}
	}
	job := &pl.jobs.Jobs[i]
	*job = db.Job{
		Queue: string(d.Action.Kind), Args: bytes.Clone(pl.text),
		MaxAttempts: d.MaxAttempts(),
	}
	key := keyOf(p.actions, d)
	if g := p.gates.of(key); g != nil {
		job.Queue = g.queue
		return nil
	}
	crowding := false
	if k := p.desks[d.Action.Kind]; k != nil {
		var f *flow
		if f, crowding = k.reserve(key, now); f != nil {
			job.Here = true
			pl.tasks[i], pl.desks[i] = &task{delivery: *d, flow: f}, k
			return nil
		}
	}
	if crowding || p.crowd.joins(key, now) {
		job.Queue = laneOf(d.Action.Kind, key)
	}
	return nil
}

// Room waits, a moment at most, until deliveries of a claim would find room here,
// and gives for how many; 0 if nothing here is to bound the claim.
// Only webhooks count: of the other kinds a desk has few places, and what finds
// none goes to their queue, rather than that everybody's claims become small.
func (p *Planner) Room(ctx context.Context) int {
	if k := p.desks[minoots.KindWebhook]; k != nil {
		return k.room(ctx)
	}
	return 0
}

// done begins the tasks of a transaction that has committed.
func (p *Planner) done(pl *plan, err error) {
	switch {
	case err == nil:
	case minoots.ErrorCode(err) == minoots.CodeInvalid: // Postgres has refused the data
		pl.release()
		return
	default:
		p.unknown(pl)
		return
	}
	p.placed(pl.jobs.Jobs)
	pl.begin()
}

// begin hands the tasks to their desks. Mostly there is but one desk.
func (pl *plan) begin() {
	for i := 0; i < len(pl.tasks); {
		k := pl.desks[i]
		var tasks []*task
		for ; i < len(pl.tasks) && pl.desks[i] == k; i++ {
			if t := pl.tasks[i]; t != nil {
				t.jobID = pl.jobs.Jobs[i].ID
				tasks = append(tasks, t)
			}
		}
		if len(tasks) > 0 {
			k.give(tasks)
		}
	}
}

// release gives back all reservations.
func (pl *plan) release() {
	for i, t := range pl.tasks {
		if t != nil {
			pl.desks[i].release(t.flow)
		}
	}
}
