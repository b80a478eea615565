package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// post does an operation on a timer.
func (b *bundle) post(id minoots.ID, operation, body string) *answer {
	b.t.Helper()
	return b.call("POST", "/v1/timers/"+id.String()+"/"+operation, body)
}

// over makes a timer that is over.
func (b *bundle) over() minoots.ID {
	b.t.Helper()
	id := b.create(`{"duration":"1h"}`).ID
	b.post(id, "cancel", "").is(http.StatusOK)
	b.hints.take()
	return id
}

func TestPauseAndResumeTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.create(`{"duration":"1h"}`)
	b.hints.take()
	var paused, resumed minoots.Timer
	a := b.post(made.ID, "pause", "").is(http.StatusOK)
	a.into(&paused)
	assert.Equal(t, `"2"`, a.Header.Get("ETag"))
	assert.Equal(t, minoots.StatusPaused, paused.Status)
	assert.Equal(t, made.FireAt, paused.FireAt)
	b.post(made.ID, "pause", "").is(http.StatusOK).into(&resumed)
	assert.Equal(t, paused, resumed, "pausing twice changes nothing")
	assert.Empty(t, b.hints.take())

	for i, body := range []string{"", "{}", `{"policy":"shift"}`, `{"policy":"fire"}`, `{"policy":"skip"}`} {
		b.post(made.ID, "pause", "").is(http.StatusOK)
		b.post(made.ID, "resume", body).is(http.StatusOK).into(&resumed)
		assert.Equal(t, minoots.StatusScheduled, resumed.Status, body)
		assert.EqualValues(t, 3+2*i, resumed.Version, body)
		assert.WithinDuration(t, made.FireAt.Time, resumed.FireAt.Time, 10*time.Second, body)
		hints := b.hints.take()
		require.Len(t, hints, 1, body)
		assert.True(t, hints[0].Equal(resumed.FireAt.Time), body)
	}
	b.post(made.ID, "resume", "").is(http.StatusOK)
	assert.Empty(t, b.hints.take(), "nothing was resumed")
}

func TestBadChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(`{"name":"a","duration":"1h"}`).ID
	timer, over, nobody := "/v1/timers/"+id.String(), "/v1/timers/"+b.over().String(), "/v1/timers/"+minoots.NewID().String()
	b.hints.take()
	cases := []badRequest{
		{"policy", "POST", timer + "/resume", `{"policy":"maybe"}`, 422, "policy", "must be one of [shift fire skip]", nil},
		{"policy as number", "POST", timer + "/resume", `{"policy":1}`, 422, "policy", "must be a string", nil},
		{"policy twice", "POST", timer + "/resume", `{"policy":"fire","policy":"skip"}`, 422, "policy", "stands twice", nil},
		{"resume field", "POST", timer + "/resume", `{"polcy":"fire"}`, 422, "polcy", "want one of policy", nil},
	}
	for operation, body := range map[string]string{"pause": "", "resume": ""} {
		at := "/" + operation
		cases = append(cases,
			badRequest{operation + " of none", "POST", nobody + at, body, 404, "", "no timer", nil},
			badRequest{operation + " of others'", "POST", timer + at, body, 404, "", "no timer", []string{"X-Api-Key", b.other}},
			badRequest{operation + " of what is over", "POST", over + at, body, 409, "", "is over (cancelled)", nil},
			badRequest{operation + " of no id", "POST", "/v1/timers/1" + at, body, 422, "id", "not an id", nil})
	}
	before := b.call("GET", timer, "").is(http.StatusOK).body
	b.refuse(cases)
	assert.JSONEq(t, string(before), string(b.call("GET", timer, "").body), "a refused change changes nothing")
	assert.Empty(t, b.hints.take())
}
