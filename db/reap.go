package db

import (
	"context"
	_ "embed"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/replica_lost.sql
var replicaLostSQL string

//go:embed query/replica_forget.sql
var replicaForgetSQL string

//go:embed query/job_redispatch.sql
var jobRedispatchSQL string

//go:embed query/job_worn.sql
var jobWornSQL string

//go:embed query/job_revive.sql
var jobReviveSQL string

// ClassLost is the error class of an attempt whose process was lost.
const ClassLost = "lost"

// LossesMost is how many processes may be lost while they run an action; with the
// last of them it is failed, for it may well be what ends them.
const LossesMost = 5

const (
	lostError      = "the process that ran it was lost; it is run again"
	wornError      = "every process that ran it was lost"
	abandonedError = "its job was ended from outside, and what became of the last attempt is not known"
)

// redispatchMost is how many jobs one statement dispatches again.
const redispatchMost = 1000

// LostReplica is a process that is gone.
type LostReplica struct {
	Replica string
	Mode    string        // lock or lease
	For     time.Duration // since it was found; 0 for one that was found just now
}

// ReplicaLost finds processes that are gone, and gives those and the ones that
// were found gone within the last while. It also tells whether acknowledgements
// have expired, for AcknowledgementExpire to see to.
func (d *DB) ReplicaLost(ctx context.Context, within time.Duration) (lost []LostReplica, expired bool, err error) {
	rows, err := d.pool.Query(ctx, replicaLostSQL, within.Seconds())
	if err != nil {
		return nil, false, translate(err)
	}
	lost, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l LostReplica, err error) {
		var seconds float64
		err = row.Scan(&l.Replica, &l.Mode, &seconds)
		l.For = time.Duration(seconds * float64(time.Second))
		return l, err
	})
	if i := slices.IndexFunc(lost, func(l LostReplica) bool { return l.Replica == "" }); i >= 0 {
		lost, expired = slices.Delete(lost, i, i+1), true
	}
	return lost, expired, translate(err)
}

// ReplicaForget forgets processes that were lost longer ago than that.
func (d *DB) ReplicaForget(ctx context.Context, after time.Duration) (int64, error) {
	tag, err := d.pool.Exec(ctx, replicaForgetSQL, after.Seconds())
	return tag.RowsAffected(), translate(err)
}

// JobRedispatch dispatches the running jobs of lost processes again, but for
// those that were lost too often, and gives their number. Any number of callers
// may do so at once: each job is dispatched by one.
func (d *DB) JobRedispatch(ctx context.Context, replicas []string) (jobs int, err error) {
	for more := true; more && err == nil; {
		n := 0
		err = d.InTx(ctx, func(tx Tx) error {
			n, err = redispatch(ctx, tx, replicas)
			return err
		})
		if err == nil {
			jobs += n
		}
		more = n == redispatchMost
	}
	return jobs, err
}

func redispatch(ctx context.Context, tx Tx, replicas []string) (jobs int, err error) {
	rows, err := tx.Query(ctx, jobRedispatchSQL, replicas, LossesMost-1, lostError)
	if err != nil {
		return 0, err
	}
	var queues []string
	var queue string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&queue, &n}, func() error {
		queues, jobs = append(queues, queue), jobs+n
		return nil
	})
	if err != nil || jobs == 0 {
		return 0, err
	}
	_, err = tx.Exec(ctx, jobNotifySQL, queues)
	return jobs, err
}

// Plan makes jobs of the actions that follow one which has ended, in the
// transaction that records its end.
type Plan func(context.Context, Tx, []minoots.Delivery) (*JobBatch, error)

// JobWorn fails the actions of lost processes that were lost too often, as if
// their last attempt had failed for good. It gives their number.
func (d *DB) JobWorn(ctx context.Context, replicas []string, plan Plan) (int, error) {
	return d.endJobs(ctx, wornError, plan, jobWornSQL, replicas, LossesMost-1)
}

// JobAbandoned fails the actions whose jobs River discarded, or an operator
// cancelled in its UI: else their firings would run for ever.
func (d *DB) JobAbandoned(ctx context.Context, plan Plan) (int, error) {
	return d.endJobs(ctx, abandonedError, plan, jobReviveSQL)
}

// endedMost is how many jobs one transaction ends.
const endedMost = 100

// endJobs locks jobs, as running ones, and records a final failure for each.
// What is recorded is what a worker would have recorded: the same statement.
func (d *DB) endJobs(ctx context.Context, why string, plan Plan, sql string, args ...any) (ended int, err error) {
	for n := endedMost; n == endedMost; ended += n {
		var all []*JobBatch
		err = d.InTx(ctx, func(tx Tx) error {
			n, all, err = endSome(ctx, tx, why, plan, sql, args...)
			return err
		})
		for _, jobs := range all {
			jobs.done(err)
		}
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

func endSome(ctx context.Context, tx Tx, why string, plan Plan, sql string, args ...any) (ended int, follow []*JobBatch, err error) {
	rows, err := tx.Query(ctx, sql, append(args, endedMost)...)
	if err != nil {
		return 0, nil, err
	}
	jobs, err := pgx.CollectRows(rows, scanEnded)
	if err != nil {
		return 0, nil, err
	}
	// One by one: two may be of one firing and of different replicas. They are few.
	for i := range jobs {
		r := &jobs[i]
		if r.Delivery == nil {
			continue
		}
		r.Outcome.Error = why
		_, next, err := recordOutcomes(ctx, tx, r.replica, []OutcomeRecord{r.OutcomeRecord})
		if err == nil && len(next) > 0 {
			var batch *JobBatch
			batch, err = planOrFail(ctx, tx, plan, next)
			follow = append(follow, batch)
		}
		if err != nil {
			return 0, follow, err
		}
		ended++
	}
	return ended, follow, nil
}

// planOrFail inserts the jobs of a firing's next actions, or fails the firing if
// Postgres does not take them. What it gives is to be told of the commit.
func planOrFail(ctx context.Context, tx Tx, plan Plan, next []minoots.Delivery) (jobs *JobBatch, err error) {
	err = translate(pgx.BeginFunc(ctx, tx, func(tx Tx) error { // a savepoint
		if jobs, err = plan(ctx, tx, next); err != nil {
			return err
		}
		return jobs.insert(ctx, tx)
	}))
	if minoots.ErrorCode(err) != minoots.CodeInvalid {
		return jobs, err
	}
	jobs.done(err)
	d := &next[0] // all of one firing
	return nil, FiringFail(ctx, tx, d.Timer.ID, d.Occurrence, d.DueAt.Time, RefusedReason)
}

// endedJob is the record of a job that nobody will end. Its Delivery is nil if
// the job's arguments do not decode, which only a hand in SQL can cause: nobody
// can tell which firing it was of.
type endedJob struct {
	OutcomeRecord
	replica string
}

func scanEnded(row pgx.CollectableRow) (endedJob, error) {
	r := endedJob{OutcomeRecord: OutcomeRecord{Final: true, Delivery: &minoots.Delivery{}}}
	r.Outcome.ErrorClass = ClassLost
	var args []byte
	err := row.Scan(&r.JobID, &r.Attempt, &r.Outcome.StartedAt, &r.Outcome.FinishedAt, &r.replica, &args)
	if err != nil {
		return r, err
	}
	if json.Unmarshal(args, r.Delivery) != nil {
		r.Delivery = nil
	}
	return r, nil
}
