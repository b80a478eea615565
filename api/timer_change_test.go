package api_test

import (
	"net/http"
	"strings"
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

func TestSnoozeAndFireTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.create(`{"duration":"1h"}`)
	b.hints.take()
	var got minoots.Timer
	b.post(made.ID, "snooze", `{"duration":"10m"}`).is(http.StatusOK).into(&got)
	assert.Equal(t, made.FireAt.Add(10*time.Minute), got.FireAt.Time)
	assert.Equal(t, made.Duration, got.Duration, "as asked for")
	until := minoots.InstantOf(time.Now().Add(5 * time.Hour))
	for range 2 {
		a := b.post(made.ID, "snooze", `{"until":"`+until.String()+`"}`).is(http.StatusOK)
		a.into(&got)
		assert.Equal(t, until, got.FireAt)
		assert.Equal(t, `"3"`, a.Header.Get("ETag"))
	}
	require.Len(t, b.hints.take(), 2, "kernels would else wake for nothing, and know nothing of the new instant")

	b.post(made.ID, "pause", "").is(http.StatusOK)
	b.post(made.ID, "snooze", `{"duration":"10m"}`).is(http.StatusConflict).problem()
	for range 2 {
		b.post(made.ID, "fire", "").is(http.StatusOK).into(&got)
		assert.Equal(t, minoots.StatusScheduled, got.Status)
		assert.EqualValues(t, 5, got.Version)
	}
	hints := b.hints.take()
	require.Len(t, hints, 1)
	assert.True(t, hints[0].Equal(got.FireAt.Time))
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
		{"snooze: empty", "POST", timer + "/snooze", ``, 400, "", "is empty", nil},
		{"snooze: nothing", "POST", timer + "/snooze", `{}`, 422, "", "exactly one of duration and until", nil},
		{"snooze: both", "POST", timer + "/snooze", `{"duration":"1h","until":"2099-01-01T00:00:00Z"}`, 422, "", "exactly one", nil},
		{"snooze: field", "POST", timer + "/snooze", `{"for":"1h"}`, 422, "for", "want one of duration, until", nil},
		{"snooze: back", "POST", timer + "/snooze", `{"duration":"-1h"}`, 422, "duration", "from 1ms", nil},
		{"snooze: soon", "POST", timer + "/snooze", `{"duration":"soon"}`, 422, "duration", "is not a duration", nil},
		{"snooze: past", "POST", timer + "/snooze", `{"until":"2020-01-01T00:00:00Z"}`, 422, "until", "in the past", nil},
		{"snooze: too far", "POST", timer + "/snooze", `{"until":"2999-01-01T00:00:00Z"}`, 422, "until", "100 years", nil},
		{"snooze: beyond", "POST", timer + "/snooze", `{"duration":"36525d"}`, 409, "", "100 years", nil},
		{"snooze: earlier", "POST", timer + "/snooze", `{"until":"` + minoots.InstantOf(time.Now().Add(time.Minute)).String() + `"}`, 409, "", "due later", nil},
	}
	ok := `{"name":"b"}`
	for _, c := range []struct {
		what, body, field, message string
		status                     int
	}{
		{"empty", ``, "", "is empty", 400},
		{"not JSON", `name=b`, "", "is not JSON", 400},
		{"list", `[]`, "", "must be an object", 422},
		{"unknown field", `{"nmae":"b"}`, "nmae", "is not a field here", 422},
		{"status", `{"status":"paused"}`, "status", "is not a field here", 422},
		{"requestedBy", `{"requestedBy":"me"}`, "requestedBy", "is not a field here", 422},
		{"both", `{"duration":"1h","fireAt":"2099-01-01T00:00:00Z"}`, "", "and has 2", 422},
		{"no time", `{"duration":null}`, "", "and has 0", 422},
		{"past", `{"fireAt":"2020-01-01T00:00:00Z"}`, "fireAt", "is in the past", 422},
		{"bad duration", `{"name":"b","duration":"soon"}`, "duration", "is not a duration", 422},
		{"too far", `{"duration":"40000d"}`, "duration", "100 years", 422},
		{"recurrence", `{"recurrence":{"cron":"0 9 * *"}}`, "recurrence.cron", "want 5 fields", 422},
		{"NUL", `{"name":"b\u0000"}`, "name", "NUL", 422},
		{"NUL within", `{"metadata":{"a":"\u0000"}}`, "metadata.a", "NUL", 422},
		{"long", `{"name":"` + strings.Repeat("x", 257) + `"}`, "name", "256 characters", 422},
		{"number", `{"name":1}`, "name", "must be a string", 422},
		{"label", `{"labels":{"a":1}}`, "labels.a", "must be a string", 422},
		{"labels", `{"labels":"a"}`, "labels", "must be an object", 422},
		{"jitter", `{"jitterMs":-1}`, "jitterMs", "from 0", 422},
		{"no actions", `{"actionBundle":{"concurrency":2}}`, "actionBundle.actions", "is missing", 422},
		{"kind", `{"actionBundle":{"actions":[{"id":"a","kind":"sms"}]}}`, "actionBundle.actions[0].kind", "must be one of", 422},
		{"parameters", `{"actionBundle":{"actions":[{"id":"a","kind":"webhook","parameters":{"url":"ftp://x"}}]}}`,
			"actionBundle.actions[0].parameters.url", "http", 422},
		{"large", `{"metadata":"` + strings.Repeat("x", minoots.MaxTimerBytes) + `"}`, "", "at most 262144 bytes", 413},
	} {
		cases = append(cases, badRequest{"patch: " + c.what, "PATCH", timer, c.body, c.status, c.field, c.message, nil})
	}
	for _, tag := range []string{`1`, `"1`, `"1" "2"`, `W/1`, `, "1"`} {
		cases = append(cases, badRequest{"If-Match " + tag, "PATCH", timer, ok, 422, "If-Match", "in quotes", []string{"If-Match", tag}})
	}
	for _, tag := range []string{`"2"`, `W/"1"`, `"2", "3"`} {
		cases = append(cases, badRequest{"If-Match " + tag, "PATCH", timer, ok, 412, "", "its version is 1", []string{"If-Match", tag}})
	}
	cases = append(cases,
		badRequest{"patch of none", "PATCH", nobody, ok, 404, "", "no timer", []string{"If-Match", "*"}},
		badRequest{"patch of others'", "PATCH", timer, ok, 404, "", "no timer", []string{"X-Api-Key", b.other}},
		badRequest{"patch of what is over", "PATCH", over, ok, 409, "", "is over (cancelled)", nil},
		badRequest{"patch as a form", "PATCH", timer, ok, 415, "", "application/json", []string{"Content-Type", "text/plain"}})
	for operation, body := range map[string]string{"pause": "", "resume": "", "snooze": `{"duration":"1h"}`, "fire": ""} {
		at := "/" + operation
		cases = append(cases,
			badRequest{operation + " of none", "POST", nobody + at, body, 404, "", "no timer", nil},
			badRequest{operation + " of others'", "POST", timer + at, body, 404, "", "no timer", []string{"X-Api-Key", b.other}},
			badRequest{operation + " of what is over", "POST", over + at, body, 409, "", "is over (cancelled)", nil},
			badRequest{operation + " of no id", "POST", "/v1/timers/1" + at, body, 422, "id", "is not an id", nil})
	}
	before := b.call("GET", timer, "").is(http.StatusOK).body
	b.refuse(cases)
	assert.JSONEq(t, string(before), string(b.call("GET", timer, "").body), "a refused change changes nothing")
	assert.Empty(t, b.hints.take())
}

// A refusal says what would do instead.
func TestFireOfATimerThatIsOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	timer := b.create(`{"duration":"1h"}`)
	b.call("POST", "/v1/timers/"+timer.ID.String()+"/cancel", "").is(http.StatusOK)
	var problem struct{ Detail, Hint string }
	b.call("POST", "/v1/timers/"+timer.ID.String()+"/fire", "").is(http.StatusConflict).into(&problem)
	assert.Equal(t, "the timer is over (cancelled); it can no longer be fired", problem.Detail)
	assert.Equal(t, "create a new timer", problem.Hint)
}
