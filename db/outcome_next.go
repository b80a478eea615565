package db

import (
	"context"
	_ "embed"
	"encoding/json"

	"github.com/minoots/minoots"
)

//go:embed query/attempt_ended.sql
var attemptEndedSQL string

// occurrenceOf names a firing.
type occurrenceOf struct {
	timer      minoots.ID
	occurrence int
}

// nextUp gathers the deliveries that follow from a group of outcomes.
type nextUp struct {
	all     []minoots.Delivery
	started map[occurrenceOf]bool
	failed  []*minoots.Delivery // one of each firing that has ended failed and compensates
}

// follow adds what one outcome brings that has counted. An action that escalates
// is followed by its escalation, a compensation by the next one, and any other by
// those actions of its bundle for which there is room now: from..to of raw.
func (n *nextUp) follow(r *OutcomeRecord, from, to *int, raw []byte, failed bool) error {
	d := r.Delivery
	firing := occurrenceOf{d.Timer.ID, d.Occurrence}
	switch {
	case !r.Final || d.Redriven(): // what was to follow has followed
		return nil
	case r.escalates() != nil:
		n.all = append(n.all, d.Escalation(r.Attempt, &r.Outcome))
		return nil
	case d.Phase == minoots.PhaseCompensation:
		if len(d.Compensation) > 0 {
			n.all = append(n.all, d.Compensating(orZero(d.Compensates)))
		}
		return nil
	case n.started[firing]: // two outcomes of one firing in a group both tell
		return nil
	case failed && len(d.Compensation) > 0:
		n.failed = append(n.failed, d)
	case from != nil:
		var bundle minoots.Bundle
		if err := json.Unmarshal(raw, &bundle); err != nil {
			return err
		}
		for _, action := range bundle.Actions[*from:*to] {
			n.all = append(n.all, bundle.Delivers(action, *d))
		}
	default:
		return nil
	}
	if n.started == nil {
		n.started = map[occurrenceOf]bool{}
	}
	n.started[firing] = true
	return nil
}

// compensate begins the compensations of the firings that have ended failed.
func (n *nextUp) compensate(ctx context.Context, q querier) error {
	if len(n.failed) == 0 {
		return nil
	}
	made := make(map[occurrenceOf]*minoots.Compensates, len(n.failed))
	timers, occurrences, tenants := make([]minoots.ID, len(n.failed)), make([]int32, len(n.failed)), make([]string, len(n.failed))
	for i, d := range n.failed {
		timers[i], occurrences[i], tenants[i] = d.Timer.ID, int32(d.Occurrence), d.TenantID
		made[occurrenceOf{d.Timer.ID, d.Occurrence}] = &minoots.Compensates{Failed: []minoots.ActionEnd{}, Succeeded: []minoots.ActionEnd{}}
	}
	rows, err := q.Query(ctx, attemptEndedSQL, timers, occurrences, tenants)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var firing occurrenceOf
		var end minoots.ActionEnd
		var ok bool
		var status *int
		var class, text *string
		err := rows.Scan(&firing.timer, &firing.occurrence, &end.ActionID, &end.Kind, &end.Attempts, &ok, &status, &class, &text)
		if err != nil {
			return err
		}
		end.HTTPStatus, end.ErrorClass, end.Error = orZero(status), orZero(class), orZero(text)
		if c := made[firing]; ok {
			c.Succeeded = append(c.Succeeded, end)
		} else {
			c.Failed = append(c.Failed, end)
		}
	}
	for _, d := range n.failed {
		n.all = append(n.all, d.Compensating(*made[occurrenceOf{d.Timer.ID, d.Occurrence}]))
	}
	return rows.Err()
}

func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// escalates is the action that takes over, nil if none does.
func (r *OutcomeRecord) escalates() *minoots.Action {
	if !r.Final || r.Outcome.Success {
		return nil
	}
	return r.Delivery.EscalatesTo()
}

// phase is that of a dead letter.
func (r *OutcomeRecord) phase() string {
	if r.Delivery.Phase == "" {
		return "action"
	}
	return string(r.Delivery.Phase)
}
