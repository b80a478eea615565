package db_test

import (
	"context"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
)

// enrich writes into a bundle what the model says of it.
func (b modelBundle) enrich(to *minoots.Bundle) {
	if b.escalates {
		for i := range to.Actions {
			to.Actions[i].Escalation = &minoots.Escalation{
				AfterAttempts: 1, EscalatesTo: &minoots.Action{ID: to.Actions[i].ID + "2", Kind: minoots.KindWebhook},
			}
		}
	}
	if b.stops {
		to.OnFailure = minoots.OnFailureStop
	}
	if b.compensates {
		to.Compensation = []minoots.Action{{ID: "u", Kind: minoots.KindWebhook}}
	}
}

// doRedrive redrives a dead letter, once or by two callers at once, of which one
// is told that it came too late.
func (w *modelWorld) doRedrive(t *rapid.T) {
	var dead []*modelLetter
	for _, l := range w.dead {
		if l.status == "dead" {
			dead = append(dead, l)
		}
	}
	if len(dead) == 0 {
		t.Skip("no dead letter")
	}
	l := dead[rapid.IntRange(0, len(dead)-1).Draw(t, "dead letter")]
	ctx := context.Background()
	var id minoots.ID
	require.NoError(t, w.database.Pool.QueryRow(ctx, "SELECT id FROM minoots.dead_letters WHERE timer_id = $1 AND action_id = $2",
		w.ids[l.timer.name], l.action).Scan(&id))
	fate := rapid.SampledFrom([]string{"", "twice", "cut before the commit", "cut after it"}).Draw(t, "fate")
	switch fate {
	case "cut before the commit", "cut after it":
		done := w.proxy.cutNext(fate == "cut after it")
		_, err := w.broken.DeadLetterRedrive(ctx, tenant, []minoots.ID{id})
		require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
		<-done
		if fate == "cut after it" {
			w.redrive(l)
		}
	case "twice":
		var g errgroup.Group
		var errs [2]error
		for i := range errs {
			g.Go(func() error { _, errs[i] = w.d.DeadLetterRedriveOne(ctx, tenant, id); return nil })
		}
		require.NoError(t, g.Wait())
		require.NotEqual(t, errs[0] == nil, errs[1] == nil, "%v", errs)
		require.Contains(t, []minoots.Code{minoots.ErrorCode(errs[0]), minoots.ErrorCode(errs[1])}, minoots.CodeConflict)
		w.redrive(l)
	default:
		redriven, err := w.d.DeadLetterRedrive(ctx, tenant, []minoots.ID{id})
		require.NoError(t, err)
		require.Equal(t, []minoots.ID{id}, redriven)
		w.redrive(l)
	}
}
