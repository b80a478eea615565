package db_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func TestCompensation(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	bundle := minoots.Bundle{
		Concurrency: 2, RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 2},
		Actions:      []minoots.Action{actionOf("a"), actionOf("b"), actionOf("c", actionOf("page"))},
		Compensation: []minoots.Action{actionOf("undo1", actionOf("undo1b")), actionOf("undo2"), actionOf("undo3")},
	}
	c := begin(t, database, d, bundle)
	for _, action := range []string{"a", "b", "c"} {
		c.succeeds(action)
	}
	c.stands(minoots.StatusSettled, 0)
	assert.Empty(t, c.jobs(), "nothing to make up for")

	c = begin(t, database, d, bundle)
	c.succeeds("b")
	c.fails("a")
	c.fails("c")
	c.stands(minoots.StatusFired, 1)
	c.succeeds("page")
	c.stands(minoots.StatusFailed, 1)
	assert.Equal(t, []string{"undo1"}, c.jobs(), "one at a time")
	c.sound()

	end := func(action string, attempts int, ok bool) minoots.ActionEnd {
		e := minoots.ActionEnd{ActionID: action, Kind: minoots.KindWebhook, Attempts: attempts, HTTPStatus: 200}
		if !ok {
			e.HTTPStatus, e.ErrorClass, e.Error = 410, "http_status", "no"
		}
		return e
	}
	told := &minoots.Compensates{
		Failed:    []minoots.ActionEnd{end("a", 2, false), end("c", 2, false)},
		Succeeded: []minoots.ActionEnd{end("b", 1, true), end("page", 1, true)},
	}
	undo := c.fails("undo1")
	assert.Equal(t, told, undo.Compensates)
	assert.Equal(t, minoots.PhaseCompensation, undo.Phase)
	assert.Nil(t, undo.Cause)
	assert.Equal(t, []string{"undo1b"}, c.jobs(), "a compensation may escalate")
	undo = c.fails("undo1b")
	assert.Equal(t, "undo1", undo.Cause.ActionID)
	assert.Equal(t, told, undo.Compensates)
	assert.Equal(t, []string{"undo2"}, c.jobs(), "its failure is no reason to leave the rest")
	c.sound()
	assert.Equal(t, told, c.succeeds("undo2").Compensates)
	c.succeeds("undo3")
	assert.Empty(t, c.jobs(), "and no compensation of the compensation")
	c.stands(minoots.StatusFailed, 1)
	assert.Equal(t, []string{"a", "undo1b"}, c.dead())
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.failed' AND timer_id = $1", c.f.ID))

	// A compensation that is redriven settles nothing, and runs the others no second time.
	for _, l := range c.letters(minoots.DeadLetterDead) {
		if l.Phase == "compensation" {
			_, err := d.DeadLetterRedriveOne(t.Context(), tenant, l.ID)
			require.NoError(t, err)
		}
	}
	c.sound()
	c.succeeds("undo1b")
	c.stands(minoots.StatusFailed, 1)
	assert.Empty(t, c.jobs())
	redrive(t, d, c.f.ID)
	c.succeeds("a")
	c.stands(minoots.StatusSettled, 0)
	assert.Empty(t, c.jobs())
	c.sound()
}

// Several firings that fail in one group each have their own compensation, and one
// firing whose two last actions are in it has one.
func TestCompensationsOfOneGroup(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	one := minoots.RetryPolicy{MaxAttempts: 1}
	bundle := minoots.Bundle{
		Concurrency: 2, RetryPolicy: &one, Actions: []minoots.Action{actionOf("a"), actionOf("b")}, Compensation: []minoots.Action{actionOf("undo")},
	}
	single := minoots.Bundle{RetryPolicy: &one, Actions: bundle.Actions[:1], Compensation: bundle.Compensation}
	x, y, z := begin(t, database, d, bundle), begin(t, database, d, bundle), begin(t, database, d, single)
	group := []db.OutcomeRecord{
		x.attempt("a", false), y.attempt("a", true), z.attempt("a", false), x.attempt("b", false), y.attempt("b", false),
	}
	p := newProxy(t, database)
	broken := connect(t, p.URL)
	done := p.cutNext(false)
	_, err := broken.OutcomeRecord(t.Context(), "replica", group, after(insertJobs))
	require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
	<-done
	for _, c := range []*course{x, y, z} {
		assert.NotContains(t, c.jobs(), "undo", "nothing is half done")
	}
	x.record(group...)
	for c, want := range map[*course]minoots.Compensates{
		x: {Failed: make([]minoots.ActionEnd, 2), Succeeded: []minoots.ActionEnd{}},
		y: {Failed: make([]minoots.ActionEnd, 1), Succeeded: make([]minoots.ActionEnd, 1)},
		z: {Failed: make([]minoots.ActionEnd, 1), Succeeded: []minoots.ActionEnd{}},
	} {
		assert.Equal(t, []string{"undo"}, c.jobs())
		told := c.succeeds("undo").Compensates
		assert.Len(t, told.Failed, len(want.Failed))
		assert.Len(t, told.Succeeded, len(want.Succeeded))
		assert.Empty(t, c.jobs())
	}
	x.sound()
}
