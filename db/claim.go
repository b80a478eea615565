package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/fault"
)

//go:embed query/timer_claim.sql
var timerClaimSQL string

//go:embed query/timer_next.sql
var timerNextSQL string

//go:embed query/timer_upcoming.sql
var timerUpcomingSQL string

//go:embed query/timer_backlog.sql
var timerBacklogSQL string

// ClaimRequest says what to claim.
type ClaimRequest struct {
	// LowWater bounds the search from below; the zero time searches all.
	LowWater time.Time
	// Limit is how many timers to claim at most, 1 to 10,000.
	Limit int
	// Now stands for the database's now() in tests; zero for now().
	Now time.Time
	// Report, if there, is told what the claim did beside firing.
	Report *ClaimReport
}

// Fired is a timer that a claim has fired, with what its actions need.
type Fired struct {
	ID           minoots.ID
	TenantID     string
	Occurrence   int
	Actions      int
	DueAt        time.Time
	FiredAt      time.Time
	Name         string
	RequestedBy  string
	Labels       map[string]string
	Metadata     []byte
	Bundle       minoots.Bundle
	AgentBinding *minoots.AgentBinding
	// Unreadable says why the definition does not decode, which only a row that
	// was not written by MINOOTS can cause; nil for all others.
	Unreadable error
	// Recurring says that the timer goes on: the outcome of this firing leaves its
	// status alone.
	Recurring bool

	judged *judged // if Go says what becomes of it
}

// Fail has the firing fail, of whose actions no jobs can be made, in the claim's
// transaction. A recurring timer goes on.
func (f *Fired) Fail(ctx context.Context, tx Tx, reason string) error {
	if f.judged != nil { // not written yet
		f.judged.refused = reason
		return nil
	}
	return FiringFail(ctx, tx, f.ID, f.Occurrence, f.DueAt, reason)
}

// ClaimReport is what a fire transaction did beside what it fired.
type ClaimReport struct {
	// Taken is how many timers it locked: of those that misfired some may not have
	// fired. Left says that it could not see to all of these.
	Taken   int
	Left    bool
	Skipped int // firings
	// At is the database's time; zero if nothing was taken.
	At time.Time
	// Last is up to when it has taken what was due, as far as it was not held by others.
	Last time.Time
	// Next is when recurring timers that were taken are due again.
	Next []time.Time
}

// TimerClaim runs the fire transaction: it claims due timers, says what becomes of
// the recurring ones and of those that may be skipped (judge.go), asks plan for the
// jobs of what fires, inserts them and commits, in two round trips. It
// gives what it claimed, also beside an error that came after the claim; with
// nothing it rolls back, and where nothing fires it does not call plan. If
// the connection dies during the commit the error is CodeUnavailable and either
// all of it happened or none: if none, the timers are still due and the next
// claim takes them.
func (d *DB) TimerClaim(ctx context.Context, req ClaimRequest, plan func(context.Context, Tx, []Fired) (*JobBatch, error)) ([]Fired, error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, translate(err)
	}
	defer conn.Release()

	// BEGIN and the claim travel together: one round trip.
	batch := &pgx.Batch{}
	batch.BeginTx(pgx.TxOptions{})
	batch.Queue(timerClaimSQL, req.LowWater, req.Limit, optionalTime(req.Now))
	sent := time.Now()
	results := conn.SendBatch(ctx, batch)
	tx := results.Tx()
	var clock time.Time
	var xid string
	taken, err := readFired(results, &clock, &xid)
	if err := firstError(err, results.Close()); err != nil || len(taken) == 0 {
		rollback(ctx, tx)
		if err != nil { // to find nothing is to write nothing
			d.writes.note(writeFire, err)
		}
		return nil, translate(err)
	}
	d.clock.Observe(sent, time.Now(), clock)
	fault.Point("fire.claimed")
	last := len(taken) - 1
	report := req.Report
	if report == nil {
		report = &ClaimReport{}
	}
	*report = ClaimReport{Taken: len(taken), At: taken[last].FiredAt, Last: taken[last].DueAt}
	court := &court{db: d, now: report.At}
	fired := court.judge(taken)
	report.Left = court.left
	var jobs *JobBatch
	if len(fired) > 0 {
		jobs, err = plan(ctx, tx, fired)
	}
	if err != nil {
		rollback(ctx, tx)
		return fired, translate(err)
	}
	jobs.begun(xid)
	fault.Point("fire.planned")
	// So do what becomes of judged timers, the jobs and the commit.
	if err = translate(jobs.commit(ctx, tx, court)); err != nil {
		rollback(ctx, tx)
	}
	fault.Point("fire.committed")
	d.writes.note(writeFire, err)
	jobs.done(err)
	if err == nil {
		report.Skipped, report.Next = court.skipped, court.upcoming()
	}
	return fired, err
}

// rollbackTimeout is how long a connection may take to say goodbye; one that has
// stalled would take for ever. The pool closes a connection in a transaction.
const rollbackTimeout = time.Second

func rollback(ctx context.Context, tx Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_ = tx.Rollback(ctx)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func readFired(results pgx.BatchResults, clock *time.Time, xid *string) ([]Fired, error) {
	if _, err := results.Exec(); err != nil { // BEGIN
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Fired
	for rows.Next() {
		var f Fired
		var labels, bundle, binding []byte
		var j judgedRow
		err := rows.Scan(&f.ID, &f.TenantID, &f.Occurrence, &f.Actions, &f.DueAt, &f.FiredAt, &f.Name, &f.RequestedBy,
			&labels, &f.Metadata, &bundle, &binding, clock, xid,
			&j.fireAt, &j.recurring, &j.unarmed, &j.recurrence, &j.misfire, &j.jitterMs, &j.anchor)
		if err != nil {
			return nil, err
		}
		f.judged, err = j.of(&f)
		if err = firstError(err, f.decode(labels, bundle, binding)); err != nil {
			f.Unreadable = &minoots.Error{Code: minoots.CodeInvalid, Message: "the timer's definition does not decode", Err: err}
		}
		all = append(all, f)
	}
	return all, rows.Err()
}

func (f *Fired) decode(labels, bundle, binding []byte) error {
	return firstError(
		readText(labelsDecoder, labels, &f.Labels),
		readText(firedDecoder, bundle, &f.Bundle),
		readText(bindingDecoder, binding, &f.AgentBinding),
	)
}

// TimerNext gives the first timer waiting at or after the low-water mark, due or
// not; the zero time if there is none. It also sets the clock.
func (d *DB) TimerNext(ctx context.Context, lowWater time.Time) (next, now time.Time, err error) {
	var due *time.Time
	sent := time.Now()
	if err := d.pool.QueryRow(ctx, timerNextSQL, lowWater).Scan(&now, &due); err != nil {
		return next, now, translate(err)
	}
	d.clock.Observe(sent, time.Now(), now)
	if due != nil {
		next = *due
	}
	return next, now, nil
}

// TimerUpcoming gives the due instants in (after, until], the first limit of them.
func (d *DB) TimerUpcoming(ctx context.Context, after, until time.Time, limit int) ([]time.Time, error) {
	rows, err := d.pool.Query(ctx, timerUpcomingSQL, after, until, limit)
	if err != nil {
		return nil, translate(err)
	}
	instants, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	return instants, translate(err)
}

// TimerBacklog counts the timers that are due and unclaimed, to bound at most,
// and gives the due instant of the oldest; the zero time if there is none.
func (d *DB) TimerBacklog(ctx context.Context, bound int) (n int, oldest time.Time, err error) {
	var due *time.Time
	err = d.pool.QueryRow(ctx, timerBacklogSQL, bound).Scan(&n, &due)
	if due != nil {
		oldest = *due
	}
	return n, oldest, translate(err)
}
