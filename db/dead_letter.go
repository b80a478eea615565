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

//go:embed query/dead_letter_page.sql
var deadLetterPageSQL string

//go:embed query/dead_letter_get.sql
var deadLetterGetSQL string

//go:embed query/dead_letter_redrive.sql
var deadLetterRedriveSQL string

//go:embed query/dead_letter_discard.sql
var deadLetterDiscardSQL string

//go:embed query/dead_letter_forget.sql
var deadLetterForgetSQL string

// DeadLetterFilter says which of a tenant's dead letters are meant. A zero field
// is no filter, but for the status.
type DeadLetterFilter struct {
	Status        minoots.DeadLetterStatus // defaults to dead
	TimerID       minoots.ID
	Kind          minoots.ActionKind
	ErrorClass    string
	CreatedAfter  time.Time // inclusive
	CreatedBefore time.Time // exclusive
	// After is the last one of the page before; zero for the first page.
	After minoots.ID
	Limit int
}

// DeadLetterPage lists dead letters by age, the oldest first.
func (d *DB) DeadLetterPage(ctx context.Context, tenant string, f DeadLetterFilter) ([]minoots.DeadLetter, error) {
	var timer *minoots.ID
	if !f.TimerID.IsZero() {
		timer = &f.TimerID
	}
	if f.Status == "" {
		f.Status = minoots.DeadLetterDead
	}
	// CacheDescribe plans with the values at hand; see dead_letter_page.sql.
	rows, err := d.pool.Query(ctx, deadLetterPageSQL, pgx.QueryExecModeCacheDescribe, tenant, f.Status, f.After, timer,
		optional(string(f.Kind)), optional(f.ErrorClass), optionalTime(f.CreatedAfter), optionalTime(f.CreatedBefore), f.Limit)
	if err != nil {
		return nil, translate(err)
	}
	letters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (minoots.DeadLetter, error) { return scanDeadLetter(row) })
	return letters, translate(err)
}

// DeadLetterGet gives one with its action and all its attempts that history still
// has.
func (d *DB) DeadLetterGet(ctx context.Context, tenant string, id minoots.ID) (minoots.DeadLetter, error) {
	var action []byte
	l, err := scanDeadLetter(d.pool.QueryRow(ctx, deadLetterGetSQL, id, tenant), &action)
	if err != nil {
		return l, noDeadLetter(translate(err))
	}
	if action != nil {
		if err := json.Unmarshal(action, &l.Action); err != nil {
			return l, translate(err)
		}
	}
	rows, err := d.pool.Query(ctx, attemptListSQL, l.TimerID, tenant, l.Occurrence, l.Occurrence)
	if err != nil {
		return l, translate(err)
	}
	attempts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (minoots.Attempt, error) {
		return scanAttempt(row, new(int))
	})
	l.History = slices.DeleteFunc(attempts, func(a minoots.Attempt) bool { return a.ActionID != l.ActionID })
	return l, translate(err)
}

// attemptsMost is how many attempts a dead letter may have had to be redriven:
// River counts them in 15 bits, and a policy may ask for 100 more.
const attemptsMost = 32_000

// DeadLetterRedrive makes dead letters jobs again, and tells which. Those that are
// not dead, or not the tenant's, are left as they are.
func (d *DB) DeadLetterRedrive(ctx context.Context, tenant string, ids []minoots.ID) (redriven []minoots.ID, err error) {
	_, redriven, err = d.redrive(ctx, tenant, ids)
	return redriven, err
}

// DeadLetterRedriveOne is DeadLetterRedrive of one, and gives it as it then is.
// One that is not dead is CodeConflict.
func (d *DB) DeadLetterRedriveOne(ctx context.Context, tenant string, id minoots.ID) (minoots.DeadLetter, error) {
	was, redriven, err := d.redrive(ctx, tenant, []minoots.ID{id})
	switch {
	case err != nil:
		return minoots.DeadLetter{}, err
	case len(was) == 0:
		return minoots.DeadLetter{}, minoots.Errorf(minoots.CodeNotFound, "no dead letter with this id")
	case was[0] == minoots.DeadLetterDead && len(redriven) == 0:
		return minoots.DeadLetter{}, minoots.Errorf(minoots.CodeConflict,
			"the dead letter has had more than %d attempts; it can no longer be redriven", attemptsMost)
	case len(redriven) == 0:
		return minoots.DeadLetter{}, notDead(was[0], "redriven")
	}
	return d.DeadLetterGet(ctx, tenant, id)
}

func (d *DB) redrive(ctx context.Context, tenant string, ids []minoots.ID) (was []minoots.DeadLetterStatus, redriven []minoots.ID, err error) {
	err = d.InTx(ctx, func(tx Tx) error {
		was, redriven = nil, nil
		rows, err := tx.Query(ctx, deadLetterRedriveSQL, tenant, ids, minoots.DefaultRetryPolicy.MaxAttempts, attemptsMost)
		if err != nil {
			return err
		}
		var id minoots.ID
		var status minoots.DeadLetterStatus
		var queue *string
		var queues []string
		_, err = pgx.ForEachRow(rows, []any{&id, &status, &queue}, func() error {
			was = append(was, status)
			if queue != nil {
				redriven, queues = append(redriven, id), append(queues, *queue)
			}
			return nil
		})
		if err != nil || len(redriven) == 0 {
			return err
		}
		_, err = tx.Exec(ctx, jobNotifySQL, slices.Compact(slices.Sorted(slices.Values(queues))))
		return err
	})
	return was, redriven, err
}

// DeadLetterDiscard gives one up. One that is given up already stays so; one that
// is on its way again, or resolved, is CodeConflict.
func (d *DB) DeadLetterDiscard(ctx context.Context, tenant string, id minoots.ID) error {
	var was minoots.DeadLetterStatus
	if err := d.pool.QueryRow(ctx, deadLetterDiscardSQL, id, tenant).Scan(&was); err != nil {
		return noDeadLetter(translate(err))
	}
	if was != minoots.DeadLetterDead && was != minoots.DeadLetterDiscarded {
		return notDead(was, "discarded")
	}
	return nil
}

func noDeadLetter(err error) error { return notFound(err, "dead letter") }

// notDead says why a dead letter stays as it is.
func notDead(was minoots.DeadLetterStatus, do string) error {
	why := map[minoots.DeadLetterStatus]string{
		minoots.DeadLetterRedriven:  "is being redriven already",
		minoots.DeadLetterResolved:  "is resolved: a redrive has succeeded",
		minoots.DeadLetterDiscarded: "was discarded",
	}[was]
	return minoots.Errorf(minoots.CodeConflict, "the dead letter %s; it cannot be %s", why, do)
}

// scanDeadLetter reads the columns of dead_letter_page.sql, and more.
func scanDeadLetter(row pgx.Row, more ...any) (minoots.DeadLetter, error) {
	var l minoots.DeadLetter
	var due, created time.Time
	var redriven, closed *time.Time
	err := row.Scan(append([]any{
		&l.ID, &l.TimerID, &l.Occurrence, &due, &l.ActionID, &l.Kind, &l.Phase, &l.Status, &l.Attempts, &l.Redrives,
		&l.HTTPStatus, &l.ErrorClass, &l.Error, &created, &redriven, &closed,
	}, more...)...)
	l.DueAt, l.CreatedAt = instant(due), instant(created)
	l.RedrivenAt, l.ClosedAt = optionalInstant(redriven), optionalInstant(closed)
	l.Derive()
	return l, err
}
