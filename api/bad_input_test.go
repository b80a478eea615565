package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// nothing holds that a request left no trace.
func (b *bundle) nothing(before []int) []int {
	b.t.Helper()
	var now []int
	for _, table := range []string{"timers", "timer_states", "events", "idempotency_keys", "api_keys", "signing_secrets", "tenants"} {
		now = append(now, b.count(table))
	}
	if before != nil {
		require.Equal(b.t, before, now, "a refused request leaves nothing behind")
	}
	return now
}

type badRequest struct {
	what, method, path, body string
	status                   int
	field                    string // "" where none is at fault
	message                  string
	headers                  []string
}

func (b *bundle) refuse(cases []badRequest) {
	b.t.Helper()
	before := b.nothing(nil)
	for _, c := range cases {
		p := b.call(c.method, c.path, c.body, c.headers...).is(c.status).problem()
		assert.Contains(b.t, p.Detail, c.message, c.what)
		if c.field == "" && c.status != http.StatusUnprocessableEntity {
			continue
		}
		if assert.NotEmpty(b.t, p.Errors, c.what) {
			assert.Equal(b.t, c.field, p.Errors[0].Path, c.what)
			assert.Contains(b.t, p.Errors[0].Location, c.field, c.what)
		}
	}
	b.nothing(before)
	assert.Empty(b.t, b.log.String(), "a caller's mistake is not logged")
}

func TestBadTimers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := strings.Repeat("x", 257)
	action := func(s string) string { return `{"duration":"1h","actionBundle":{"actions":[` + s + `]}}` }
	ok := `{"id":"a","kind":"webhook","parameters":{"url":"https://x.example"}}`
	var labels []string
	for i := range 65 {
		labels = append(labels, fmt.Sprintf(`"k%d":"v"`, i))
	}
	var cases []badRequest
	for _, c := range []struct {
		what, body, field, message string
		status                     int
	}{
		{"empty", ``, "", "is empty", 400},
		{"not JSON", `duration=1h`, "", "is not JSON, at byte 0", 400},
		{"cut off", `{"duration":"1h"`, "duration", "comma or a closing brace", 400},
		{"two documents", `{"duration":"1h"}{}`, "", "goes on after its end", 400},
		{"raw NUL", "{\"name\":\"a\x00\"}", "name", "control character", 400},
		{"a list", `[]`, "", "must be an object", 422},
		{"null", `null`, "", "must not be null", 422},
		{"unknown field", `{"duration":"1h","actoinBundle":{}}`, "actoinBundle", "is not a field here", 422},
		{"wrong case", `{"Duration":"1h"}`, "Duration", "is not a field here", 422},
		{"field twice", `{"duration":"1h","duration":"2h"}`, "duration", "stands twice", 422},
		{"NUL", `{"duration":"1h","name":"a\u0000"}`, "name", "NUL", 422},
		{"NUL in a key", `{"duration":"1h","metadata":{"a":{"\u0000":1}}}`, "metadata.a", "NUL", 422},
		{"NUL in a label", `{"duration":"1h","labels":{"k":"\u0000"}}`, "labels.k", "NUL", 422},
		{"lone surrogate", `{"duration":"1h","metadata":["\ud800"]}`, "metadata[0]", "surrogate", 422},
		{"not UTF-8", "{\"duration\":\"1h\",\"name\":\"\xff\"}", "name", "UTF-8", 422},
		{"deep", `{"duration":"1h","metadata":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`, "metadata" + strings.Repeat("[0]", 7), "nested more than 64", 422},
		{"huge number", `{"duration":"1h","metadata":1e999}`, "metadata", "64-bit float", 422},
		{"long number", `{"duration":"1h","metadata":` + strings.Repeat("1", 99) + `}`, "metadata", "at most 64 characters", 422},

		{"no when", `{"name":"a"}`, "", "exactly one of duration, fireAt and recurrence, and has 0", 422},
		{"two whens", `{"duration":"1h","fireAt":"2999-01-01T00:00:00Z"}`, "", "and has 2", 422},
		{"null when", `{"duration":null}`, "", "and has 0", 422},
		{"bad duration", `{"duration":"soon"}`, "duration", "is not a duration", 422},
		{"negative duration", `{"duration":"-1h"}`, "duration", "from 1ms", 422},
		{"zero", `{"duration":0}`, "duration", "from 1ms", 422},
		{"fraction", `{"duration":1.5}`, "duration", "whole milliseconds", 422},
		{"too far", `{"duration":"40000d"}`, "duration", "100 years", 422},
		{"overflow", `{"duration":99999999999999999999}`, "duration", "in range", 422},
		{"months", `{"duration":"P1M"}`, "duration", "no fixed length", 422},
		{"duration object", `{"duration":{}}`, "duration", "is not a duration", 422},
		{"past", `{"fireAt":"2020-01-01T00:00:00Z"}`, "fireAt", "is in the past", 422},
		{"ancient", `{"fireAt":"0000-01-01T00:00:00+23:00","misfire":{"policy":"fire_once"}}`, "fireAt", "100 years", 422},
		{"far future", `{"fireAt":"2999-01-01T00:00:00Z"}`, "fireAt", "100 years", 422},
		{"impossible date", `{"fireAt":"2027-02-30T00:00:00Z"}`, "fireAt", "is not an instant", 422},
		{"no zone", `{"fireAt":"2027-02-03T00:00:00"}`, "fireAt", "with a zone", 422},
		{"instant as number", `{"fireAt":1}`, "fireAt", "is not an instant", 422},
		{"empty recurrence", `{"recurrence":{}}`, "recurrence", "exactly one of cron", 422},
		{"impossible cron", `{"recurrence":{"cron":"0 9 30 2 *"}}`, "recurrence.cron", "February has no day 30", 422},
		{"unknown zone", `{"recurrence":{"cron":"@daily","timeZone":"Mars/Base"}}`, "recurrence.timeZone", "IANA name", 422},
		{"too often", `{"recurrence":{"every":"999ms"}}`, "recurrence.every", "from 1s", 422},
		{"ends before it starts", `{"recurrence":{"every":"1h","startAt":"2030-01-02T00:00:00Z","endAt":"2030-01-01T00:00:00Z"}}`, "recurrence.endAt", "is before startAt", 422},
		{"never comes", `{"recurrence":{"cron":"@yearly","startAt":"2030-01-02T00:00:00Z","endAt":"2030-02-01T00:00:00Z"}}`, "recurrence.endAt", "before the first occurrence", 422},
		{"jitter swallows the next", `{"recurrence":{"cron":"*/5 * * * *"},"jitterMs":300000}`, "jitterMs", "must be less than 300000", 422},
		{"jitter and every", `{"recurrence":{"every":"1s"},"jitterMs":1000}`, "jitterMs", "shortest time between two occurrences (1s)", 422},

		{"long name", `{"duration":"1h","name":"` + long + `"}`, "name", "256 characters", 422},
		{"name as number", `{"duration":"1h","name":1}`, "name", "must be a string", 422},
		{"long requestedBy", `{"duration":"1h","requestedBy":"` + long + `"}`, "requestedBy", "256 characters", 422},
		{"label as number", `{"duration":"1h","labels":{"k":1}}`, "labels.k", "must be a string", 422},
		{"many labels", `{"duration":"1h","labels":{` + strings.Join(labels, ",") + `}}`, "labels", "at most 64", 422},
		{"label with colon", `{"duration":"1h","labels":{"a:b":"c"}}`, "labels.a:b", "must not be empty nor contain", 422},
		{"jitter", `{"duration":"1h","jitterMs":-1}`, "jitterMs", "from 0", 422},
		{"jitter fraction", `{"duration":"1h","jitterMs":0.5}`, "jitterMs", "whole number", 422},
		{"misfire", `{"duration":"1h","misfire":{"policy":"maybe"}}`, "misfire.policy", "must be", 422},
		{"binding", `{"duration":"1h","agentBinding":{"adapter":"","target":""}}`, "agentBinding", "must name", 422},

		{"bundle without actions", `{"duration":"1h","actionBundle":{}}`, "actionBundle.actions", "is missing", 422},
		{"actions as object", `{"duration":"1h","actionBundle":{"actions":{}}}`, "actionBundle.actions", "must be a list", 422},
		{"many actions", action(strings.Repeat(ok+",", 100) + ok), "actionBundle.actions", "at most 100", 422},
		{"action without kind", action(`{"id":"a"}`), "actionBundle.actions[0].kind", "is missing", 422},
		{"unknown kind", action(`{"id":"a","kind":"sms"}`), "actionBundle.actions[0].kind", "must be one of", 422},
		{"bad action id", action(`{"id":"a\r\nb","kind":"webhook"}`), "actionBundle.actions[0].id", "must be 1 to 64", 422},
		{"action id twice", action(ok + "," + ok), "actionBundle.actions[1].id", "stands twice", 422},
		{"parameters", action(`{"id":"a","kind":"webhook","parameters":{"url":"ftp://x"}}`), "actionBundle.actions[0].parameters.url", "http", 422},
		{"unavailable kind", action(`{"id":"a","kind":"command"}`), "actionBundle.actions[0].kind", "not available", 422},
		{"retries", action(`{"id":"a","kind":"webhook","parameters":{"url":"http://x"},"retryPolicy":{"maxAttempts":101}}`),
			"actionBundle.actions[0].retryPolicy.maxAttempts", "from 1 to 100", 422},
		{"concurrency", `{"duration":"1h","actionBundle":{"actions":[],"concurrency":-1}}`, "actionBundle.concurrency", "from 1", 422},
	} {
		cases = append(cases, badRequest{c.what, "POST", "/v1/timers", c.body, c.status, c.field, c.message, nil})
		if c.status == 422 && c.field != "" && c.what != "deep" { // and the same in a batch, with its index
			cases = append(cases, badRequest{c.what, "POST", "/v1/timers/batch", `{"timers":[{"duration":"1h"},` + c.body + `]}`,
				c.status, "timers[1]." + c.field, c.message, nil})
		}
	}
	b.refuse(cases)
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	timer := "/v1/timers/" + b.create(`{"duration":"1h"}`).ID.String()
	fine, big := `{"duration":"1h"}`, `{"duration":"1h","metadata":"`+strings.Repeat("x", minoots.MaxTimerBytes)+`"}`
	nobody := "/v1/timers/" + minoots.NewID().String()
	b.hints.take()
	b.refuse([]badRequest{
		{"form", "POST", "/v1/timers", fine, 415, "", "application/json", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"charset", "POST", "/v1/timers", fine, 415, "", "UTF-8", []string{"Content-Type", "application/json; charset=latin1"}},
		{"no media type", "POST", "/v1/timers", fine, 415, "", "application/json", []string{"Content-Type", ";;"}},
		{"gzip", "POST", "/v1/timers", fine, 415, "", "compressed", []string{"Content-Encoding", "gzip"}},
		{"large", "POST", "/v1/timers", big, 413, "", "at most 262144 bytes", nil},
		{"large cancel", "POST", timer + "/cancel", big, 413, "", "at most 262144 bytes", nil},
		{"large in a batch", "POST", "/v1/timers/batch", `{"timers":[` + fine + `,` + big + `]}`, 413, "timers[1]", "at most 262144 bytes", nil},
		{"large batch", "POST", "/v1/timers/batch", `{"timers":[` + strings.Repeat(" ", 32<<20), 413, "", "at most 33554432 bytes", nil},
		{"long batch", "POST", "/v1/timers/batch", `{"timers":[` + strings.Repeat(`{},`, 10_000) + `{}]}`, 422, "timers", "at most 10000 items", nil},
		{"empty batch", "POST", "/v1/timers/batch", `{"timers":[]}`, 422, "timers", "at least one", nil},
		{"batch without", "POST", "/v1/timers/batch", `{}`, 422, "timers", "is missing", nil},
		{"batch with key", "POST", "/v1/timers/batch", `{"timers":[` + fine + `]}`, 422, "Idempotency-Key", "not heeded", []string{"Idempotency-Key", "k"}},
		{"one bad of two", "POST", "/v1/timers/batch", `{"timers":[` + fine + `,{"duration":"-1s"}]}`, 422, "timers[1].duration", "from 1ms", nil},
		{"batch without when", "POST", "/v1/timers/batch", `{"timers":[{}]}`, 422, "timers[0]", "exactly one", nil},
		{"batch of another tenant", "POST", "/v1/timers/batch", `{"timers":[{"duration":"1h","tenantId":"globex"}]}`, 403, "", "timers[0].tenantId", nil},
		{"key with space", "POST", "/v1/timers", fine, 422, "Idempotency-Key", "visible ASCII", []string{"Idempotency-Key", "a b"}},
		{"long key", "POST", "/v1/timers", fine, 422, "Idempotency-Key", "1 to 255", []string{"Idempotency-Key", strings.Repeat("k", 256)}},
		{"key in UTF-8", "POST", "/v1/timers", fine, 422, "Idempotency-Key", "visible ASCII", []string{"Idempotency-Key", "ü"}},
		{"another tenant", "POST", "/v1/timers", `{"duration":"1h","tenantId":"globex"}`, 403, "", "tenantId", nil},

		{"bad id", "GET", "/v1/timers/1", "", 422, "id", "is not an id", nil},
		{"batch is no id", "GET", "/v1/timers/batch", "", 422, "id", "is not an id", nil},
		{"no timer", "GET", nobody, "", 404, "", "no timer", nil},
		{"no timer to cancel", "POST", nobody + "/cancel", "", 404, "", "no timer", nil},
		{"others' timer", "GET", timer, "", 404, "", "no timer", []string{"X-Api-Key", b.other}},
		{"others' cancel", "POST", timer + "/cancel", "", 404, "", "no timer", []string{"X-Api-Key", b.other}},
		{"long reason", "POST", timer + "/cancel", `{"reason":"` + strings.Repeat("é", 257) + `"}`, 422, "reason", "256 characters", nil},
		{"cancel field", "POST", timer + "/cancel", `{"why":"x"}`, 422, "why", "want one of reason, requestedBy", nil},
		{"no firings", "GET", nobody + "/firings", "", 404, "", "no timer", nil},
		{"bad occurrence", "GET", timer + "/firings/first", "", 422, "occurrence", "integer", nil},
		{"occurrence 0", "GET", timer + "/firings/0", "", 422, "occurrence", "from 1", nil},
		{"huge occurrence", "GET", timer + "/firings/2147483648", "", 422, "occurrence", "from 1 to 2147483647", nil},

		{"unknown parameter", "GET", "/v1/timers?stauts=fired", "", 422, "stauts", "is not a parameter here: want one of limit, cursor, status", nil},
		{"parameter of none", "POST", "/v1/timers?dryRun=true", fine, 422, "dryRun", "want one of none", nil},
		{"parameter twice", "GET", "/v1/timers?limit=1&limit=2", "", 422, "limit", "stands twice", nil},
		{"bad escape", "GET", "/v1/timers?name=%zz", "", 422, "", "percent sign", nil},
		{"NUL in a query", "GET", "/v1/timers?name=%00", "", 422, "name", "without NUL", nil},
		{"not UTF-8 in a query", "GET", "/v1/timers?label=a:%ff", "", 422, "label", "UTF-8", nil},
		{"bad status", "GET", "/v1/timers?status=done", "", 422, "status", "must be among", nil},
		{"bad label", "GET", "/v1/timers?label=a", "", 422, "label", "key:value", nil},
		{"label twice", "GET", "/v1/timers?label=a:1&label=a:2", "", 422, "label", "twice", nil},
		{"bad instant", "GET", "/v1/timers?dueAfter=tomorrow", "", 422, "dueAfter", "is not an instant", nil},
		{"limit 0", "GET", "/v1/timers?limit=0", "", 422, "limit", "from 1 to 1000", nil},
		{"limit 1001", "GET", "/v1/timers?limit=1001", "", 422, "limit", "from 1 to 1000", nil},
		{"limit word", "GET", "/v1/timers?limit=all", "", 422, "limit", "integer", nil},
		{"bad cursor", "GET", "/v1/timers?cursor=abc", "", 422, "cursor", "nextCursor", nil},
		{"bad key cursor", "GET", "/v1/api-keys?cursor=!", "", 422, "cursor", "nextCursor", nil},
		{"bad firing cursor", "GET", timer + "/firings?cursor=dA", "", 422, "cursor", "nextCursor", nil},

		{"key without roles", "POST", "/v1/api-keys", `{"name":"a"}`, 422, "roles", "is missing", nil},
		{"key with no role", "POST", "/v1/api-keys", `{"roles":[]}`, 422, "roles", "at least one", nil},
		{"unknown role", "POST", "/v1/api-keys", `{"roles":["root"]}`, 422, "roles[0]", "must be one of", nil},
		{"more than one's own", "POST", "/v1/api-keys", `{"roles":["timer.read","operator"]}`, 403, "", "roles[1]", nil},
		{"no key", "DELETE", "/v1/api-keys/" + minoots.NewID().String(), "", 404, "", "no key", nil},
		{"no key to rotate", "POST", "/v1/api-keys/" + minoots.NewID().String() + "/rotate", "", 404, "", "no live key", nil},
		{"long grace", "POST", "/v1/signing-secrets/rotate", `{"grace":"8d"}`, 422, "grace", "from 0s to 7d", nil},
		{"bad tenant id", "POST", "/v1/tenants", `{"id":"A.B"}`, 422, "id", "must be 1 to 63", []string{"X-Api-Key", b.operator}},
		{"tenant twice", "POST", "/v1/tenants", `{"id":"acme"}`, 409, "", "exists already", []string{"X-Api-Key", b.operator}},
		{"no tenant", "GET", "/v1/tenants/nobody", "", 404, "", "no tenant", []string{"X-Api-Key", b.operator}},
		{"bad tenant path", "GET", "/v1/tenants/A%00", "", 422, "id", "tenant's id", []string{"X-Api-Key", b.operator}},

		{"no path", "GET", "/v2/timers", "", 404, "", "nothing at this path", nil},
		{"no method", "PUT", "/v1/timers", fine, 405, "", "GET, HEAD, POST", nil},
	})
	assert.Empty(t, b.hints.take())
}

func TestProblemsNeverRepeatValues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, body := range []string{
		`{"duration":"hunter2"`, `{"fireAt":"hunter2"}`, `{"name":["hunter2"]}`, `{"duration":"1h","jitterMs":"hunter2"}`,
	} {
		assert.NotContains(t, string(b.call("POST", "/v1/timers", body).body), "hunter2", body)
	}
	assert.NotContains(t, string(b.call("GET", "/v1/timers/hunter2", "").body), "hunter2")
	assert.NotContains(t, string(b.call("GET", "/v1/timers?limit=hunter2", "").body), "hunter2")
}

// TestBodyThatEndsEarly needs a real connection.
func TestBodyThatEndsEarly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	server := httptest.NewServer(b.handler)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/timers", io.LimitReader(endless{}, 10<<20))
	require.NoError(t, err)
	r.Header.Set("X-Api-Key", b.admin)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	assert.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode, "without a Content-Length, too")
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}
