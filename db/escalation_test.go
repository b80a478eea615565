package db_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// The chain holds the slot of its action until the last of it has ended: nothing
// behind it is begun before. Each link keeps the bundle's policy or its own.
func TestEscalation(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	last := actionOf("c")
	last.RetryPolicy = &minoots.RetryPolicy{MaxAttempts: 1}
	bundle := minoots.Bundle{
		RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 3}, Actions: []minoots.Action{actionOf("a", actionOf("b", last)), actionOf("z")},
	}
	for _, saved := range []bool{true, false} {
		c := begin(t, database, d, bundle)
		r := c.attempt("a", false)
		assert.False(t, r.Final, "2 attempts come before the escalation")
		c.record(r)
		r = c.attempt("a", false)
		r.Outcome.HTTPStatus = 503
		require.True(t, r.Final)
		c.record(r)
		assert.Equal(t, []string{"b"}, c.jobs())
		c.stands(minoots.StatusFired, 0)
		assert.Equal(t, 0, count(t, database, "SELECT ended FROM minoots.firings WHERE timer_id = $1", c.f.ID))
		c.sound()

		b := c.fails("b")
		assert.Equal(t, &minoots.ActionEnd{
			ActionID: "a", Kind: minoots.KindWebhook, Attempts: 2, HTTPStatus: 503, ErrorClass: "http_status", Error: "no",
		}, b.Cause)
		assert.Equal(t, minoots.PhaseEscalation, b.Phase)
		assert.Equal(t, 3, b.Policy.MaxAttempts, "the bundle's")
		assert.Equal(t, c.f.ID.String()+"_1_b", b.WebhookID())
		assert.Equal(t, []string{"c"}, c.jobs())
		if saved {
			assert.Equal(t, 1, c.succeeds("c").Policy.MaxAttempts, "its own")
		} else {
			c.fails("c")
		}
		assert.Equal(t, []string{"z"}, c.jobs())
		z := c.succeeds("z")
		assert.Empty(t, z.Phase)
		assert.Nil(t, z.Cause)
		if saved {
			c.stands(minoots.StatusSettled, 0)
			assert.Empty(t, c.dead())
		} else {
			c.stands(minoots.StatusFailed, 1)
			assert.Equal(t, []string{"c"}, c.dead(), "the end of the chain, and not what has escalated")
			assert.Equal(t, "escalation", c.letters(minoots.DeadLetterDead)[0].Phase)
		}
		assert.Equal(t, 2, count(t, database, `SELECT count(*) FROM minoots.events WHERE timer_id = $1 AND type = 'action.failed'
			AND data ->> 'escalatedTo' = CASE data ->> 'actionId' WHEN 'a' THEN 'b' WHEN 'b' THEN 'c' END`, c.f.ID))
		c.sound()
	}
}

// An outcome that no attempt can better escalates at once, and an action that was
// lost too often does too.
func TestEscalationAtOnce(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	bundle := minoots.Bundle{Actions: []minoots.Action{actionOf("a", actionOf("b"))}}
	c := begin(t, database, d, bundle)
	r := c.attempt("a", false)
	r.Final = true // as 404 is
	c.record(r)
	assert.Equal(t, []string{"b"}, c.jobs())
	before := history(t, database, c.f.ID)
	live, err := d.OutcomeRecord(t.Context(), "replica", []db.OutcomeRecord{r}, after(insertJobs))
	require.NoError(t, err)
	assert.Equal(t, []bool{false}, live, "told twice")
	assert.Equal(t, []string{"b"}, c.jobs(), "and escalated once")
	assert.Equal(t, before, history(t, database, c.f.ID))
	c.succeeds("b")
	c.stands(minoots.StatusSettled, 0)

	c = begin(t, database, d, bundle)
	r = c.attempt("a", false)
	inGeneration(t, database, r.JobID, db.LossesMost-1)
	n, err := d.JobWorn(t.Context(), []string{"replica"}, after(insertJobs))
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Equal(t, []string{"b"}, c.jobs())
	b := c.fails("b")
	assert.Equal(t, db.ClassLost, b.Cause.ErrorClass)
	c.stands(minoots.StatusFailed, 1)
	c.sound()
}

// Whatever becomes of the connection in the commit, recording again gives one
// escalation.
func TestEscalationAndACutConnection(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	p := newProxy(t, database)
	broken := connect(t, p.URL)
	for _, after1 := range []bool{false, true} {
		c := begin(t, database, d, minoots.Bundle{Actions: []minoots.Action{actionOf("a", actionOf("b"))}})
		r := c.attempt("a", false)
		r.Final = true
		done := p.cutNext(after1)
		_, err := broken.OutcomeRecord(t.Context(), "replica", []db.OutcomeRecord{r}, after(insertJobs))
		require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
		<-done
		live, err := d.OutcomeRecord(t.Context(), "replica", []db.OutcomeRecord{r}, after(insertJobs))
		require.NoError(t, err)
		assert.Equal(t, []bool{!after1}, live)
		assert.Equal(t, []string{"b"}, c.jobs())
		c.succeeds("b")
		c.stands(minoots.StatusSettled, 0)
		c.sound()
	}
}

// With a window, an escalation holds one place of it.
func TestEscalationInAWindow(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	c := begin(t, database, d, minoots.Bundle{Concurrency: 2, Actions: []minoots.Action{
		actionOf("a", actionOf("page")), actionOf("b"), actionOf("c"), actionOf("d"),
	}})
	a, b := c.attempt("a", false), c.attempt("b", true)
	a.Final = true
	c.record(a, b)
	assert.ElementsMatch(t, []string{"page", "c"}, c.jobs())
	c.succeeds("c")
	assert.ElementsMatch(t, []string{"page", "d"}, c.jobs())
	c.sound()
	c.succeeds("d")
	c.stands(minoots.StatusFired, 0)
	c.succeeds("page")
	c.stands(minoots.StatusSettled, 0)
	c.sound()
}

func TestBundleStopsAtAFailure(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	bundle := minoots.Bundle{
		Concurrency: 2, OnFailure: minoots.OnFailureStop, RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 1},
		Actions: []minoots.Action{actionOf("a"), actionOf("b", actionOf("page")), actionOf("c"), actionOf("d")},
	}
	c := begin(t, database, d, bundle)
	c.fails("a")
	assert.Equal(t, []string{"b"}, c.jobs(), "what runs goes on")
	c.sound()
	c.fails("b")
	assert.Equal(t, []string{"page"}, c.jobs(), "its escalation is a part of it")
	c.stands(minoots.StatusFired, 1)
	c.succeeds("page")
	c.stands(minoots.StatusFailed, 1)
	assert.Equal(t, 4, get(t, d, c.f.ID).LastFiring.Actions, "as many as the bundle has")
	assert.Empty(t, c.jobs())
	c.sound()

	// A redrive of what failed does not make up for what was never begun.
	redrive(t, d, c.f.ID)
	c.succeeds("a")
	c.stands(minoots.StatusFailed, 0)
	c.sound()

	// Both in one group: nothing is begun either.
	c = begin(t, database, d, bundle)
	c.record(c.attempt("b", true), c.attempt("a", false))
	assert.Empty(t, c.jobs())
	c.stands(minoots.StatusFailed, 1)
	c.sound()

	// The last action may fail as it likes.
	bundle.Actions = []minoots.Action{actionOf("a"), actionOf("b")}
	c = begin(t, database, d, bundle)
	c.succeeds("a")
	c.fails("b")
	c.stands(minoots.StatusFailed, 1)
	redrive(t, d, c.f.ID)
	c.succeeds("b")
	c.stands(minoots.StatusSettled, 0)
	c.sound()
}
