package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	timerv1 "github.com/minoots/minoots/proto/minoots/timer/v1"
)

// A misfire that says only how late is too late means fire_once, whichever way it
// comes in; and whoever reads the timer, here or in SQL, finds that written out.
func TestMisfireWithoutPolicy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := func(made minoots.Timer) string { return made.ID.String() }
	for door, through := range map[string]func() string{
		"create": func() string { return id(b.create(`{"duration":"1h","misfire":{"graceMs":5000}}`)) },
		"null":   func() string { return id(b.create(`{"duration":"1h","misfire":{"policy":null,"graceMs":5000}}`)) },
		"batch": func() string {
			var made struct{ Timers []minoots.Timer }
			b.call("POST", "/v1/timers/batch", `{"timers":[{"duration":"1h","misfire":{"graceMs":5000}}]}`).is(http.StatusCreated).into(&made)
			return id(made.Timers[0])
		},
		"gRPC": func() string {
			asked := inMs(3_600_000)
			asked.MisfireJson = `{"graceMs":5000}`
			made, err := b.horology().schedule(asked)
			require.NoError(t, err)
			return made.GetTimer().GetId()
		},
		"SQL": func() (made string) {
			require.NoError(t, b.pool.QueryRow(t.Context(),
				`SELECT minoots.schedule('acme', '{"duration": "1h", "misfire": {"graceMs": 5000}}')`).Scan(&made))
			return made
		},
		"patch": func() string {
			made := b.create(`{"duration":"1h"}`)
			b.call("PATCH", "/v1/timers/"+id(made), `{"misfire":{"graceMs":5000}}`).is(http.StatusOK)
			return id(made)
		},
		"patch takes the policy away": func() string {
			made := b.create(`{"duration":"1h","misfire":{"policy":"skip","graceMs":5000}}`)
			b.call("PATCH", "/v1/timers/"+id(made), `{"misfire":{"policy":null}}`).is(http.StatusOK)
			return id(made)
		},
	} {
		made := through()
		var got minoots.Timer
		b.call("GET", "/v1/timers/"+made, "").is(http.StatusOK).into(&got)
		assert.Equal(t, &minoots.Misfire{Policy: minoots.MisfireFireOnce, GraceMs: 5000}, got.Misfire, door)
		var stored string
		require.NoError(t, b.pool.QueryRow(t.Context(), "SELECT misfire::jsonb::text FROM minoots.timer_report WHERE id = $1", made).Scan(&stored))
		assert.JSONEq(t, `{"policy":"fire_once","graceMs":5000}`, stored, door)
	}

	skips := b.create(`{"duration":"1h","misfire":{"policy":"skip"}}`)
	var got minoots.Timer
	b.call("PATCH", "/v1/timers/"+id(skips), `{"misfire":{"graceMs":5000}}`).is(http.StatusOK).into(&got)
	assert.Equal(t, minoots.MisfireSkip, got.Misfire.Policy, "a policy that it has stays")
	assert.Nil(t, b.create(`{"duration":"1h"}`).Misfire, "what is not given at all is not made up")
}

// The fingerprint is of what was sent, not of what it means: to write a default out
// is another request.
func TestMisfireWithoutPolicyIsRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const asked = `{"duration":"1h","misfire":{"graceMs":5000}}`
	made := b.create(asked, "Idempotency-Key", "once")
	var again minoots.Timer
	b.call("POST", "/v1/timers", asked, "Idempotency-Key", "once").is(http.StatusOK).into(&again)
	assert.Equal(t, made.ID, again.ID)
	b.call("POST", "/v1/timers", `{"duration":"1h","misfire":{"policy":"fire_once","graceMs":5000}}`, "Idempotency-Key", "once").
		is(http.StatusConflict)

	h := b.horology()
	request := func(misfire string) *timerv1.TimerScheduleRequest {
		in := inMs(3_600_000)
		in.MisfireJson = misfire
		return in
	}
	first, err := h.schedule(request(`{"graceMs":5000}`), "idempotency-key", "twice")
	require.NoError(t, err)
	repeat, err := h.schedule(request(`{"graceMs":5000}`), "idempotency-key", "twice")
	require.NoError(t, err)
	assert.Equal(t, first.GetTimer().GetId(), repeat.GetTimer().GetId())
}
