package db

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/job_insert.sql
var jobInsertSQL string

//go:embed query/job_notify.sql
var jobNotifySQL string

//go:embed query/job_release.sql
var jobReleaseSQL string

//go:embed query/job_resolve.sql
var jobResolveSQL string

// Job is a delivery on its way into River's table.
type Job struct {
	Queue       string
	MaxAttempts int
	Args        []byte // JSON
	// Here says that this replica begins the first attempt as soon as the
	// transaction has committed: the job is inserted as running, and no fetch,
	// no notification and no second write of the row is needed.
	Here bool
	// ID is River's, known once the job is inserted.
	ID int64
}

// JobBatch is the jobs that a transaction inserts, and what to do then.
type JobBatch struct {
	Replica string // River's client id of the process that runs those with Here
	Jobs    []Job
	// Xid is the transaction's id, once it is known.
	Xid string
	// Done, if there, is told once what became of the transaction: nil for
	// committed. An error other than CodeInvalid may mean that nobody knows: then
	// JobResolve tells.
	Done func(error)
}

// begun notes the transaction, if there is a batch.
func (b *JobBatch) begun(xid string) {
	if b != nil {
		b.Xid = xid
	}
}

// done tells the batch, if there is one.
func (b *JobBatch) done(err error) {
	if b != nil && b.Done != nil {
		b.Done(err)
	}
}

// queue adds the batch's statements to a round trip.
func (b *JobBatch) queue(to *pgx.Batch) {
	var (
		here   = make([]bool, len(b.Jobs))
		most   = make([]int16, len(b.Jobs))
		queues = make([]string, len(b.Jobs))
		args   = make([]string, len(b.Jobs))
		notify []string
		named  = map[string]bool{}
	)
	for i := range b.Jobs {
		job := &b.Jobs[i]
		here[i], most[i], queues[i], args[i] = job.Here, int16(job.MaxAttempts), job.Queue, string(job.Args)
		if !job.Here && !named[job.Queue] && !IsHeld(job.Queue) {
			named[job.Queue] = true
			notify = append(notify, job.Queue)
		}
	}
	to.Queue(jobInsertSQL, b.Replica, here, most, queues, args)
	if len(notify) > 0 {
		to.Queue(jobNotifySQL, notify)
	}
}

// read takes in the results of what queue added: the ids come in the order of
// the jobs.
func (b *JobBatch) read(results pgx.BatchResults) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	n := 0
	for ; rows.Next() && n < len(b.Jobs); n++ {
		if err := rows.Scan(&b.Jobs[n].ID, &b.Xid); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if n != len(b.Jobs) {
		return fmt.Errorf("inserted %d jobs of %d", n, len(b.Jobs))
	}
	return nil
}

// insert inserts the batch in a transaction that goes on.
func (b *JobBatch) insert(ctx context.Context, tx Tx) error {
	if b == nil || len(b.Jobs) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	b.queue(batch)
	results := tx.SendBatch(ctx, batch)
	return firstError(b.read(results), results.Close())
}

// commit writes what a court has said, inserts the batch and commits, in one round
// trip.
func (b *JobBatch) commit(ctx context.Context, tx Tx, said *court) error {
	batch := &pgx.Batch{}
	rearms, jobs := said.queue(batch), b != nil && len(b.Jobs) > 0
	if !rearms && !jobs {
		return tx.Commit(ctx)
	}
	if jobs {
		b.queue(batch)
	}
	batch.Queue("COMMIT")
	results := tx.SendBatch(ctx, batch)
	var err error
	if rearms {
		_, err = results.Exec()
	}
	if jobs && err == nil {
		err = b.read(results)
	}
	return firstError(err, results.Close())
}

// JobRelease puts jobs back into the queues given, which this replica was to run
// and has not begun.
func (d *DB) JobRelease(ctx context.Context, replica string, ids []int64, queues []string) error {
	tx, err := d.pool.Begin(ctx)
	if err != nil {
		return translate(err)
	}
	defer rollback(ctx, tx)
	batch := &pgx.Batch{}
	batch.Queue(jobReleaseSQL, replica, ids, queues)
	batch.Queue(jobNotifySQL, slices.Compact(slices.Sorted(slices.Values(queues))))
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return translate(err)
	}
	return translate(tx.Commit(ctx))
}

// JobResolve tells what became of a transaction whose commit's answer was lost,
// and gives the jobs of it that are still running, by webhook-id. While the
// server does not know either, because it has not noticed yet that the
// connection is gone, the error is CodeUnavailable.
func (d *DB) JobResolve(ctx context.Context, xid string) (committed bool, running map[string]int64, err error) {
	if xid == "" {
		return false, nil, nil // it broke before anything that counts was sent
	}
	rows, err := d.pool.Query(ctx, jobResolveSQL, xid)
	if err != nil {
		return false, nil, translate(err)
	}
	defer rows.Close()
	running = map[string]int64{}
	status := ""
	for rows.Next() {
		var id *int64
		var webhookID *string
		if err := rows.Scan(&status, &id, &webhookID); err != nil {
			return false, nil, translate(err)
		}
		if id != nil {
			running[*webhookID] = *id
		}
	}
	if err := rows.Err(); err != nil {
		return false, nil, translate(err)
	}
	if status == "in progress" {
		return false, nil, &minoots.Error{Code: minoots.CodeUnavailable, Message: "the transaction is still in progress"}
	}
	return status == "committed", running, nil
}
