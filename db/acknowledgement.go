package db

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/acknowledgement_open.sql
var acknowledgementOpenSQL string

//go:embed query/acknowledgement_park.sql
var acknowledgementParkSQL string

//go:embed query/acknowledgement_extend.sql
var acknowledgementExtendSQL string

//go:embed query/acknowledgement_list.sql
var acknowledgementListSQL string

//go:embed query/acknowledgement_forget.sql
var acknowledgementForgetSQL string

// AcknowledgementMost is how long heartbeats may put an acknowledgement off, in
// all; a binding's own timeout may be longer.
const AcknowledgementMost = 24 * time.Hour

// AcknowledgementKept is how long one is remembered past its time, so that an
// agent that repeats itself hears that it has been heard.
const AcknowledgementKept = 24 * time.Hour

// How an acknowledgement stands that cannot be had any more: in the chain of the
// error, which says it to the agent.
var (
	ErrAcknowledged = errors.New("acknowledged already")
	ErrExpired      = errors.New("expired")
)

// AcknowledgementOpen is an attempt that is about to ask for one.
type AcknowledgementOpen struct {
	Token    string
	JobID    int64
	Attempt  int
	Delivery *minoots.Delivery
	Replica  string
	Timeout  time.Duration
}

// AcknowledgementOpen notes it, and gives when it expires at the earliest. It is
// CodeConflict if the attempt is not its job's current one any more.
func (d *DB) AcknowledgementOpen(ctx context.Context, open AcknowledgementOpen) (expires time.Time, err error) {
	o := open.Delivery
	err = d.pool.QueryRow(ctx, acknowledgementOpenSQL, minoots.HashCredential(open.Token), open.JobID, open.Attempt,
		o.TenantID, o.Timer.ID, o.Occurrence, o.Action.ID, open.Replica, open.Timeout.Milliseconds(),
		AcknowledgementMost.Milliseconds()).Scan(&expires)
	if errors.Is(err, pgx.ErrNoRows) {
		return expires, minoots.Errorf(minoots.CodeConflict, "the attempt is not the current one of its job any more")
	}
	return expires, translate(err)
}

// AcknowledgementPark lets the job of a send wait, which the receiver has taken
// on, without a worker. It tells whether it does: not if the agent has been
// quicker, if another has the job, or if it does already.
func (d *DB) AcknowledgementPark(ctx context.Context, tenant, token string, sent *minoots.Outcome) (bool, error) {
	tag, err := d.pool.Exec(ctx, acknowledgementParkSQL, minoots.HashCredential(token), tenant,
		optionalInt(sent.HTTPStatus), optional(string(sent.Response)))
	d.writes.note(writeRecord, err)
	return tag.RowsAffected() == 1, translate(err)
}

func optionalInt(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

// AcknowledgementExtend is a heartbeat: by is how long from now on, 0 for the
// binding's timeout, and progress is kept unless it is empty.
func (d *DB) AcknowledgementExtend(ctx context.Context, token string, by time.Duration, progress string) (minoots.Heartbeat, error) {
	var h minoots.Heartbeat
	var expires, latest time.Time
	var ms *int64
	if by > 0 {
		n := by.Milliseconds()
		ms = &n
	}
	err := d.pool.QueryRow(ctx, acknowledgementExtendSQL, minoots.HashCredential(token), ms, optional(progress)).
		Scan(&h.TimerID, &h.Occurrence, &h.ActionID, &h.Attempt, &expires, &latest)
	if errors.Is(err, pgx.ErrNoRows) {
		return h, d.InTx(ctx, func(tx Tx) error {
			_, err := lockAcknowledgement(ctx, tx, token)
			if err == nil { // it expired between the two statements
				err = expired()
			}
			return err
		})
	}
	h.ExpiresAt, h.LatestAt = instant(expires), instant(latest)
	return h, translate(err)
}

// AcknowledgementForget forgets those that are long over, and gives their number.
func (d *DB) AcknowledgementForget(ctx context.Context) (int64, error) {
	const most = 10_000
	all := int64(0)
	for n := int64(most); n == most; {
		tag, err := d.pool.Exec(ctx, acknowledgementForgetSQL, AcknowledgementKept.Seconds(), most)
		if err != nil {
			return all, translate(err)
		}
		n = tag.RowsAffected()
		all += n
	}
	return all, nil
}

// awaited adds to firings what their agents have not acknowledged yet.
func (d *DB) awaited(ctx context.Context, tenant string, timer minoots.ID, firings map[int]*minoots.Firing, first, last int) error {
	rows, err := d.pool.Query(ctx, acknowledgementListSQL, timer, tenant, first, last)
	if err != nil {
		return translate(err)
	}
	var occurrence int
	var a minoots.AwaitedAcknowledgement
	var started, expires time.Time
	var heartbeat *time.Time
	_, err = pgx.ForEachRow(rows, []any{&occurrence, &a.ActionID, &a.Attempt, &started, &expires, &heartbeat, &a.Progress}, func() error {
		a.StartedAt, a.ExpiresAt, a.HeartbeatAt = instant(started), instant(expires), optionalInstant(heartbeat)
		if f := firings[occurrence]; f != nil {
			f.Awaited = append(f.Awaited, a)
		}
		return nil
	})
	return translate(err)
}

// acknowledgementLocked is how one stands that is locked.
type acknowledgementLocked struct {
	tenant  string
	receipt minoots.AcknowledgementReceipt
}

// lockAcknowledgement locks the one of a token, or says why it cannot be had.
func lockAcknowledgement(ctx context.Context, tx Tx, token string) (a acknowledgementLocked, err error) {
	var status string
	var ok, late bool
	var at *time.Time
	r := &a.receipt
	err = tx.QueryRow(ctx, acknowledgementLockSQL, minoots.HashCredential(token)).
		Scan(&a.tenant, &r.TimerID, &r.Occurrence, &r.ActionID, &r.Attempt, &status, &ok, &at, &late)
	r.Status = minoots.AcknowledgementFailed
	if ok {
		r.Status = minoots.AcknowledgementSucceeded
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return a, minoots.Errorf(minoots.CodeNotFound, "no delivery has this token")
	case err != nil:
		return a, err
	case status == "acknowledged":
		return a, &minoots.Error{
			Code: minoots.CodeConflict, Err: ErrAcknowledged,
			Message: fmt.Sprintf("it was acknowledged already, as %s, at %s", r.Status, instant(*at)),
			Hint:    "an acknowledgement counts once: the first stands",
		}
	case status == "expired" || late:
		return a, expired()
	}
	return a, nil
}

func expired() error {
	return &minoots.Error{
		Code: minoots.CodeConflict, Err: ErrExpired, Message: "the time for the acknowledgement is over, and the attempt has failed",
		Hint: "a later attempt comes with a token of its own; a heartbeat in time extends one",
	}
}

func over() error {
	return &minoots.Error{
		Code: minoots.CodeConflict, Err: ErrExpired, Message: "the attempt is over: its delivery is made again, or was given up",
		Hint: "a later attempt comes with a token of its own",
	}
}
