package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/firing_page.sql
var firingPageSQL string

//go:embed query/attempt_list.sql
var attemptListSQL string

// FiringPage lists the firings of a timer after an occurrence (0 for the first
// page), in order, each with its attempts.
func (d *DB) FiringPage(ctx context.Context, tenant string, timer minoots.ID, after, limit int) ([]minoots.Firing, error) {
	rows, err := d.pool.Query(ctx, firingPageSQL, timer, tenant, after, limit)
	if err != nil {
		return nil, translate(err)
	}
	firings, err := pgx.CollectRows(rows, scanFiring)
	if err != nil || len(firings) == 0 {
		return firings, translate(err)
	}
	byOccurrence := make(map[int]*minoots.Firing, len(firings))
	for i := range firings {
		byOccurrence[firings[i].Occurrence] = &firings[i]
	}
	first, last := firings[0].Occurrence, firings[len(firings)-1].Occurrence
	rows, err = d.pool.Query(ctx, attemptListSQL, timer, tenant, first, last)
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
	for rows.Next() {
		var occurrence int
		a, err := scanAttempt(rows, &occurrence)
		if err != nil {
			return nil, translate(err)
		}
		if f := byOccurrence[occurrence]; f != nil {
			f.Attempts = append(f.Attempts, a)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, translate(err)
	}
	return firings, d.awaited(ctx, tenant, timer, byOccurrence, first, last)
}

// FiringGet gives one firing with its attempts.
func (d *DB) FiringGet(ctx context.Context, tenant string, timer minoots.ID, occurrence int) (minoots.Firing, error) {
	firings, err := d.FiringPage(ctx, tenant, timer, occurrence-1, 1)
	if err != nil {
		return minoots.Firing{}, err
	}
	if len(firings) == 0 || firings[0].Occurrence != occurrence {
		return minoots.Firing{}, minoots.Errorf(minoots.CodeNotFound, "the timer has no firing %d", occurrence)
	}
	return firings[0], nil
}

func scanFiring(row pgx.CollectableRow) (minoots.Firing, error) {
	var f minoots.Firing
	var due, fired time.Time
	var settled *time.Time
	err := row.Scan(&f.TimerID, &f.Occurrence, &f.Status, &due, &fired, &settled, &f.Reason, &f.Actions, &f.Failed)
	f.DueAt, f.FiredAt, f.SettledAt = instant(due), instant(fired), optionalInstant(settled)
	f.LatenessMs = latenessMs(due, fired)
	return f, err
}

func scanAttempt(row pgx.Row, occurrence *int) (minoots.Attempt, error) {
	var a minoots.Attempt
	var started, finished time.Time
	err := row.Scan(occurrence, &a.ActionID, &a.Kind, &a.Attempt, &a.Status, &started, &finished,
		&a.HTTPStatus, &a.ErrorClass, &a.Error, &a.Response, &a.Replica)
	a.StartedAt, a.FinishedAt = instant(started), instant(finished)
	return a, err
}
