package db

import (
	"context"
	_ "embed"
	"net/http"

	"github.com/minoots/minoots"
)

//go:embed query/delivery_outcome.sql
var deliveryOutcomeSQL string

func ofSubscription(r OutcomeRecord) bool { return r.Delivery.Subscription != nil }

// recordApart records a group in which there are outcomes of subscriptions'
// deliveries: those by their own statement, the others by theirs. If the second
// fails, doing it all again is harmless.
func (d *DB) recordApart(ctx context.Context, replica string, group []OutcomeRecord, plan Plan) ([]bool, error) {
	var events, actions []OutcomeRecord
	var eventAt, actionAt []int
	for i, r := range group {
		if ofSubscription(r) {
			events, eventAt = append(events, r), append(eventAt, i)
		} else {
			actions, actionAt = append(actions, r), append(actionAt, i)
		}
	}
	live := make([]bool, len(group))
	counted, err := recordDeliveries(ctx, d.pool, events)
	if err == nil {
		err = d.pauseGone(ctx, events)
	}
	d.writes.note(writeRecord, err)
	if err != nil {
		return nil, translate(err)
	}
	for i, ok := range counted {
		live[eventAt[i]] = ok
	}
	if len(actions) > 0 {
		if counted, err = d.OutcomeRecord(ctx, replica, actions, plan); err != nil {
			return nil, err
		}
		for i, ok := range counted {
			live[actionAt[i]] = ok
		}
	}
	return live, nil
}

func recordDeliveries(ctx context.Context, q querier, group []OutcomeRecord) ([]bool, error) {
	cols, n := &outcomeColumns{}, len(group)
	index := make(map[jobAttempt]int, n)
	ids, subscriptions := make([]minoots.ID, n), make([]minoots.ID, n)
	for i := range group {
		r := &group[i]
		index[jobAttempt{r.JobID, r.Attempt}] = i
		cols.add(r)
		of := r.Delivery.Subscription
		ids[i], subscriptions[i] = of.DeliveryID, of.ID
	}
	rows, err := q.Query(ctx, deliveryOutcomeSQL, cols.jobs, cols.attempts, cols.final, cols.ok, ids, subscriptions,
		cols.finished, cols.http, cols.classes, cols.errs, cols.bodies, cols.retryAt)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	live := make([]bool, n)
	for rows.Next() {
		var job jobAttempt
		if err := rows.Scan(&job.id, &job.attempt); err != nil {
			return nil, err
		}
		live[index[job]] = true
	}
	return live, rows.Err()
}

// goneReason is why a subscription is paused whose receiver answers 410: the
// Standard Webhooks' word for that it wants no more.
const goneReason = "the receiver answered 410 Gone"

// pauseGone pauses the subscriptions whose receivers want no more. If the process
// dies before, the next delivery will be told so again.
func (d *DB) pauseGone(ctx context.Context, group []OutcomeRecord) error {
	done := map[minoots.ID]bool{}
	for i := range group {
		r := &group[i]
		id := r.Delivery.Subscription.ID
		if !r.Final || r.Outcome.HTTPStatus != http.StatusGone || done[id] {
			continue
		}
		done[id] = true
		reason := goneReason
		if _, err := d.pause(ctx, r.Delivery.TenantID, id, &reason); err != nil && minoots.ErrorCode(err) != minoots.CodeNotFound {
			return err
		}
	}
	return nil
}
