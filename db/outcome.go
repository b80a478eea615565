package db

import (
	"context"
	_ "embed"
	"slices"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/fault"
)

//go:embed query/outcome_record.sql
var outcomeRecordSQL string

// OutcomeRecord is the outcome of one attempt, on its way into the database.
type OutcomeRecord struct {
	JobID   int64 // River's
	Attempt int   // River's, which is ours: 1 for the first
	Final   bool  // no further attempt: it succeeded, or failed for good
	// RetryAt puts the job back for its next attempt then. Zero leaves that to
	// River, which does it for the jobs that it fetched.
	RetryAt  time.Time
	Delivery *minoots.Delivery
	Outcome  minoots.Outcome
}

// OutcomeRecord records a group of outcomes in one transaction, with the actions
// that follow them in their bundles, of which plan makes jobs. It gives, for
// each, whether it counted: an attempt that is not its job's current one any
// more changes nothing. Recording the same group again is harmless.
func (d *DB) OutcomeRecord(
	ctx context.Context, replica string, group []OutcomeRecord, plan func(context.Context, Tx, []minoots.Delivery) (*JobBatch, error),
) ([]bool, error) {
	if slices.ContainsFunc(group, ofSubscription) {
		return d.recordApart(ctx, replica, group, plan)
	}
	alone := true
	for i := range group {
		alone = alone && group[i].Delivery.Alone
	}
	if alone { // nothing can follow: one statement is the transaction
		live, _, err := recordOutcomes(ctx, d.pool, replica, group)
		d.writes.note(writeRecord, err)
		return live, translate(err)
	}
	var live []bool
	var jobs *JobBatch
	err := d.InTx(ctx, func(tx Tx) error {
		var next []minoots.Delivery
		var err error
		live, next, err = recordOutcomes(ctx, tx, replica, group)
		fault.Point("record.stated")
		if err != nil || len(next) == 0 {
			return err
		}
		if jobs, err = plan(ctx, tx, next); err != nil {
			return err
		}
		err = jobs.insert(ctx, tx)
		fault.Point("record.enqueued")
		return err
	})
	d.writes.note(writeRecord, err)
	jobs.done(err)
	return live, err
}

// jobAttempt tells a zombie's outcome from the current one of the same job.
type jobAttempt struct {
	id      int64
	attempt int
}

func recordOutcomes(ctx context.Context, q querier, replica string, group []OutcomeRecord) ([]bool, []minoots.Delivery, error) {
	if len(group) > 0 && ofSubscription(group[0]) { // then all are
		live, err := recordDeliveries(ctx, q, group)
		return live, nil, err
	}
	index := make(map[jobAttempt]int, len(group))
	cols := &outcomeColumns{}
	for i := range group {
		index[jobAttempt{group[i].JobID, group[i].Attempt}] = i
		cols.add(&group[i])
	}
	rows, err := q.Query(ctx, outcomeRecordSQL, cols.args(replica)...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	live := make([]bool, len(group))
	var next nextUp
	for rows.Next() {
		var job jobAttempt
		var from, to *int
		var bundle []byte
		var failed bool
		if err := rows.Scan(&job.id, &job.attempt, &from, &to, &bundle, &failed); err != nil {
			return nil, nil, err
		}
		i := index[job]
		live[i] = true
		if err := next.follow(&group[i], from, to, bundle, failed); err != nil {
			return nil, nil, err
		}
	}
	rows.Close() // the connection is to be free for the next statement
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	return live, next.all, next.compensate(ctx, q)
}

// outcomeColumns is a group of outcomes turned on its side.
type outcomeColumns struct {
	jobs                    []int64
	attempts                []int16
	final, ok, recurring    []bool
	stops, redriven         []bool
	escalates               []*string
	phases                  []string
	timers                  []minoots.ID
	due, started, finished  []time.Time
	retryAt                 []*time.Time
	occurrences             []int32
	tenants, actions, kinds []string
	http                    []*int32
	classes, errs, bodies   []*string
}

func (c *outcomeColumns) add(r *OutcomeRecord) {
	d, o := r.Delivery, &r.Outcome
	c.jobs = append(c.jobs, r.JobID)
	c.attempts = append(c.attempts, int16(r.Attempt))
	c.final = append(c.final, r.Final)
	c.ok = append(c.ok, o.Success)
	c.recurring = append(c.recurring, d.Recurring)
	c.timers = append(c.timers, d.Timer.ID)
	c.due = append(c.due, d.DueAt.Time)
	c.retryAt = append(c.retryAt, optionalTime(r.RetryAt))
	c.started = append(c.started, o.StartedAt)
	c.finished = append(c.finished, o.FinishedAt)
	c.occurrences = append(c.occurrences, int32(d.Occurrence))
	c.tenants = append(c.tenants, d.TenantID)
	c.actions = append(c.actions, d.Action.ID)
	c.kinds = append(c.kinds, string(d.Action.Kind))
	var status *int32
	if o.HTTPStatus != 0 {
		v := int32(o.HTTPStatus)
		status = &v
	}
	c.http = append(c.http, status)
	c.classes = append(c.classes, optional(o.ErrorClass))
	c.errs = append(c.errs, optional(o.Error))
	c.bodies = append(c.bodies, optional(string(o.Response)))
	c.stops = append(c.stops, d.Stop)
	c.redriven = append(c.redriven, d.Redriven())
	c.phases = append(c.phases, r.phase())
	var to *string
	if a := r.escalates(); a != nil {
		to = &a.ID
	}
	c.escalates = append(c.escalates, to)
}

// args panics of no outcomes.
func (c *outcomeColumns) args(replica string) []any {
	return []any{
		c.jobs, c.attempts, c.final, c.ok, c.timers, c.due, c.occurrences, c.tenants, c.actions, c.kinds,
		c.started, c.finished, c.http, c.classes, c.errs, c.bodies, c.recurring, c.retryAt,
		replica, c.escalates, c.phases, c.stops, c.redriven,
		slices.MinFunc(c.due, time.Time.Compare), slices.MaxFunc(c.due, time.Time.Compare),
		slices.MinFunc(c.finished, time.Time.Compare), slices.MaxFunc(c.finished, time.Time.Compare),
	}
}
