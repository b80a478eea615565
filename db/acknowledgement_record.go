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

//go:embed query/acknowledgement_lock.sql
var acknowledgementLockSQL string

//go:embed query/acknowledgement_take.sql
var acknowledgementTakeSQL string

//go:embed query/acknowledgement_expire.sql
var acknowledgementExpireSQL string

// The error classes of attempts that an agent has failed, in a word or by silence.
const (
	ClassAgentFailed           = "agent_failed"
	ClassAcknowledgementMissed = "ack_timeout"
)

// Judge decides what follows an attempt: whether it was the last, and if not, how
// long to wait for the next.
type Judge func(d *minoots.Delivery, attempt int, out *minoots.Outcome) (final bool, wait time.Duration)

// AcknowledgementGiven is an agent's word.
type AcknowledgementGiven struct {
	Status minoots.AcknowledgementStatus
	Result json.RawMessage // nil for none
	Error  string          // of a failure
	// Retry says that after a failure another attempt may help.
	Retry bool
}

// AcknowledgementRecord ends the attempt that the token is for, as the agent
// says, with all that follows from it: in one transaction, of which of any number
// at once, and of an expiry beside them, one wins. ErrAcknowledged and ErrExpired
// tell the others why they did not.
//
// It may be called while the delivery is still being sent. What the sender
// records then finds no job and changes nothing.
func (d *DB) AcknowledgementRecord(
	ctx context.Context, token string, given AcknowledgementGiven, judge Judge, plan Plan,
) (receipt minoots.AcknowledgementReceipt, err error) {
	var follow []*JobBatch
	err = d.InTx(ctx, func(tx Tx) error {
		locked, err := lockAcknowledgement(ctx, tx, token)
		if err != nil {
			return err
		}
		ended, err := takeAcknowledged(ctx, tx, token, given)
		if err != nil {
			return err
		}
		receipt = locked.receipt
		receipt.Status, receipt.AcknowledgedAt = given.Status, instant(ended.Outcome.FinishedAt)
		follow, err = recordJudged(ctx, tx, []endedJob{ended}, judge, plan)
		return err
	})
	d.writes.note(writeRecord, err)
	doneAll(follow, err)
	return receipt, err
}

func takeAcknowledged(ctx context.Context, tx Tx, token string, given AcknowledgementGiven) (ended endedJob, err error) {
	result := given.Result
	if len(result) == 0 {
		result = json.RawMessage("null")
	}
	ok := given.Status == minoots.AcknowledgementSucceeded
	rows, err := tx.Query(ctx, acknowledgementTakeSQL, minoots.HashCredential(token), ok, string(result))
	if err != nil {
		return ended, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (endedJob, error) {
		var args []byte
		o := &ended.Outcome
		err := row.Scan(&ended.JobID, &ended.Attempt, &o.StartedAt, &o.FinishedAt, &ended.replica, &o.HTTPStatus, &args)
		ended.decode(args)
		return ended, err
	})
	if err != nil {
		return ended, err
	}
	if len(all) == 0 || all[0].Delivery == nil {
		return ended, over()
	}
	ended = all[0]
	ended.Outcome.Success, ended.Outcome.Response = ok, given.Result
	if !ok {
		ended.Outcome.Retryable, ended.Outcome.ErrorClass, ended.Outcome.Error = given.Retry, ClassAgentFailed, given.Error
	}
	return ended, nil
}

// decode reads a job's arguments; Delivery is nil if that cannot be done.
func (e *endedJob) decode(args []byte) {
	e.Delivery = &minoots.Delivery{}
	if json.Unmarshal(args, e.Delivery) != nil {
		e.Delivery = nil
	}
}

// expireMost is how many acknowledgements one transaction expires.
const expireMost = 200

// acknowledgementMissed is what the record says of an attempt nobody acknowledged.
const acknowledgementMissed = "the agent has not acknowledged the delivery in time"

// AcknowledgementExpire fails the attempts whose acknowledgements have not come
// in time, with all that follows from it, and gives their number. Any number of
// callers may do so at once: each is failed by one.
func (d *DB) AcknowledgementExpire(ctx context.Context, judge Judge, plan Plan) (all int, err error) {
	for n := expireMost; n == expireMost; all += n {
		var follow []*JobBatch
		err = d.InTx(ctx, func(tx Tx) error {
			var ended []endedJob
			if n, ended, err = expireSome(ctx, tx); err != nil {
				return err
			}
			follow, err = recordJudged(ctx, tx, ended, judge, plan)
			return err
		})
		doneAll(follow, err)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func expireSome(ctx context.Context, tx Tx) (n int, ended []endedJob, err error) {
	rows, err := tx.Query(ctx, acknowledgementExpireSQL, expireMost)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var job *int64
		var e endedJob
		var args []byte
		var response string
		o := &e.Outcome
		if err := rows.Scan(&job, &e.Attempt, &o.StartedAt, &o.FinishedAt, &e.replica, &o.HTTPStatus, &response, &args); err != nil {
			return n, nil, err
		}
		if job == nil {
			continue
		}
		if e.decode(args); e.Delivery == nil {
			continue
		}
		e.JobID, o.Response = *job, []byte(response)
		o.Retryable, o.ErrorClass, o.Error = true, ClassAcknowledgementMissed, acknowledgementMissed
		ended = append(ended, e)
	}
	return n, ended, rows.Err()
}

// recordJudged records attempts that ended away from their workers: what a worker
// would have recorded, by the same statement. What it gives is to be told of the
// commit.
func recordJudged(ctx context.Context, tx Tx, ended []endedJob, judge Judge, plan Plan) (follow []*JobBatch, err error) {
	byReplica := map[string][]OutcomeRecord{}
	for i := range ended {
		r := ended[i].OutcomeRecord
		var wait time.Duration
		if r.Final, wait = judge(r.Delivery, r.Attempt, &r.Outcome); !r.Final {
			r.RetryAt = r.Outcome.FinishedAt.Add(wait)
		}
		byReplica[ended[i].replica] = append(byReplica[ended[i].replica], r)
	}
	var next []minoots.Delivery
	for _, replica := range sortedKeys(byReplica) {
		_, following, err := recordOutcomes(ctx, tx, replica, byReplica[replica])
		if err != nil {
			return nil, err
		}
		next = append(next, following...)
	}
	return planAll(ctx, tx, plan, next)
}

// planAll inserts the jobs of what follows, at once if Postgres takes all of
// them, else firing by firing, so that one does not keep the others.
func planAll(ctx context.Context, tx Tx, plan Plan, next []minoots.Delivery) (follow []*JobBatch, err error) {
	if len(next) == 0 {
		return nil, nil
	}
	var jobs *JobBatch
	err = translate(pgx.BeginFunc(ctx, tx, func(tx Tx) error { // a savepoint
		if jobs, err = plan(ctx, tx, next); err != nil {
			return err
		}
		return jobs.insert(ctx, tx)
	}))
	if minoots.ErrorCode(err) != minoots.CodeInvalid {
		return []*JobBatch{jobs}, err
	}
	jobs.done(err)
	for from := 0; from < len(next); {
		to := from + 1
		for to < len(next) && next[to].Timer.ID == next[from].Timer.ID && next[to].Occurrence == next[from].Occurrence {
			to++
		}
		jobs, err := planOrFail(ctx, tx, plan, next[from:to])
		follow = append(follow, jobs)
		if err != nil {
			return follow, err
		}
		from = to
	}
	return follow, nil
}

func doneAll(batches []*JobBatch, err error) {
	for _, jobs := range batches {
		jobs.done(err)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
