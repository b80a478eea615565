package minoots_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// A delivery carries all that may follow from it, and a plain one nothing more.
func TestDeliveryCarriesWhatFollows(t *testing.T) {
	t.Parallel()
	own, ours := minoots.RetryPolicy{MaxAttempts: 2}, minoots.RetryPolicy{MaxAttempts: 7, RetryOn: []string{"404"}}
	page := minoots.Action{ID: "page", Kind: minoots.KindWebhook, RetryPolicy: &own}
	call := minoots.Action{ID: "call", Kind: minoots.KindWebhook, Escalation: &minoots.Escalation{AfterAttempts: 4, EscalatesTo: &page}}
	a := minoots.Action{ID: "a", Kind: minoots.KindWebhook, Escalation: &minoots.Escalation{AfterAttempts: 3, EscalatesTo: &call}}
	b := minoots.Bundle{
		RetryPolicy: &ours, OnFailure: minoots.OnFailureStop, Actions: []minoots.Action{a, {ID: "b"}},
		Compensation: []minoots.Action{{ID: "undo"}, {ID: "undo2"}},
	}.WithDefaults()
	d := b.Delivers(b.Actions[0], minoots.Delivery{TenantID: "acme", Generation: 3, Base: 4, Redrives: 1})
	assert.Equal(t, 3, d.MaxAttempts(), "it escalates before its policy ends")
	assert.True(t, d.Stop)
	assert.False(t, d.Alone)
	assert.False(t, d.Redriven())
	assert.Zero(t, d.Generation)

	var stored minoots.Delivery // as its job has it
	text, err := json.Marshal(d)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &stored))
	second := stored.Escalation(3, &minoots.Outcome{HTTPStatus: 503, ErrorClass: "http_status", Error: "no"})
	assert.Equal(t, "call", second.Action.ID)
	assert.Equal(t, 4, second.MaxAttempts())
	assert.Equal(t, []string{"404"}, second.Policy.RetryOn, "the bundle's")
	assert.Equal(t, "a", second.Cause.ActionID)
	third := second.Escalation(4, &minoots.Outcome{})
	assert.Equal(t, 2, third.MaxAttempts(), "its own")
	assert.Equal(t, []string{"404"}, third.Policy.RetryOn, "which says nothing of that")
	assert.Nil(t, third.EscalatesTo())
	third.Base, third.Redrives = 9, 1
	assert.Equal(t, 11, third.MaxAttempts(), "counted on")

	undo := third.Compensating(minoots.Compensates{})
	assert.Equal(t, "undo", undo.Action.ID)
	assert.Equal(t, minoots.PhaseCompensation, undo.Phase)
	assert.Equal(t, 7, undo.MaxAttempts())
	assert.False(t, undo.Alone || undo.Stop || undo.Redriven())
	last := undo.Compensating(minoots.Compensates{})
	assert.Equal(t, "undo2", last.Action.ID)
	assert.Empty(t, last.Compensation)
	assert.True(t, last.Alone)
	assert.Equal(t, "a", b.Actions[0].ID)
	assert.Nil(t, call.RetryPolicy, "what was given is left as it is")

	plain := minoots.Bundle{Actions: []minoots.Action{{ID: "a", Kind: minoots.KindWebhook}}}.WithDefaults()
	d = plain.Delivers(plain.Actions[0], minoots.Delivery{})
	assert.True(t, d.Alone)
	text, err = json.Marshal(d)
	require.NoError(t, err)
	for _, field := range []string{"stop", "phase", "cause", "compensat", "base", "redrives", "retryOn", "escalation"} {
		assert.NotContains(t, string(text), `"`+field, "a plain job stays small")
	}
}

// A redriven action has escalated before, and does not again.
func TestRedrivenDeliveryDoesNotEscalate(t *testing.T) {
	t.Parallel()
	d := minoots.Delivery{Action: minoots.Action{Escalation: &minoots.Escalation{AfterAttempts: 1, EscalatesTo: &minoots.Action{}}}}
	assert.NotNil(t, d.EscalatesTo())
	d.Redrives = 1
	assert.Nil(t, d.EscalatesTo())
	assert.Equal(t, minoots.DefaultRetryPolicy.MaxAttempts, d.MaxAttempts())
}

func TestRetryOnIsValidated(t *testing.T) {
	t.Parallel()
	spec := func(on ...string) *minoots.TimerSpec {
		return &minoots.TimerSpec{Duration: ptr(minoots.Duration(1e9)), ActionBundle: &minoots.Bundle{
			Actions: []minoots.Action{{ID: "a", Kind: minoots.KindWebhook, RetryPolicy: &minoots.RetryPolicy{RetryOn: on}}},
		}}
	}
	assert.NoError(t, spec("300", "404", "410", "499", "redirect", "http_status", "timeout").Validate(now, minoots.Checks{}))
	for _, on := range []string{"", "200", "299", "500", "4xx", "4040", "address_denied", "parameters", "aborted", "Redirect"} {
		err := spec("404", on).Validate(now, minoots.Checks{})
		require.Error(t, err, on)
		var ours *minoots.Error
		require.ErrorAs(t, err, &ours)
		assert.Equal(t, "actionBundle.actions[0].retryPolicy.retryOn[1]", ours.Fields[0].Path)
		assert.Contains(t, ours.Fields[0].Message, "from 300 to 499, or one of [timeout")
	}
	err := spec(make([]string, 51)...).Validate(now, minoots.Checks{})
	assert.ErrorContains(t, err, "does not validate")
}
