package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is what a server was sent.
type seen struct {
	method, path string
	query        url.Values
	header       http.Header
	body         string
}

// server answers every request with the given answers in turn, and notes them.
func server(t *testing.T, answers ...func(http.ResponseWriter)) (*client.Client, *[]seen) {
	t.Helper()
	return serverWith(t, nil, answers...)
}

// serverWith is server for a client with options.
func serverWith(t *testing.T, opts []client.Option, answers ...func(http.ResponseWriter)) (*client.Client, *[]seen) {
	t.Helper()
	var requests []seen
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests = append(requests, seen{r.Method, r.URL.Path, r.URL.Query(), r.Header, string(body)})
		answers[min(len(requests), len(answers))-1](w)
	}))
	t.Cleanup(s.Close)
	c, err := client.New(s.URL+"/", "mnt_key", opts...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, &requests
}

func answer(status int, contentType string, body string, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func ok(body string) func(http.ResponseWriter) { return answer(200, "application/json", body) }

const timerID = "01890a5d-ac96-774b-bcce-b302099a8057"

func TestCreateTimer(t *testing.T) {
	t.Parallel()
	c, requests := server(t, answer(201, "application/json", `{"id":"`+timerID+`","status":"scheduled","fireAt":"2026-11-23T17:03:20.000001Z"}`))
	d := minoots.Duration(45 * time.Minute)
	timer, err := c.CreateTimer(t.Context(), minoots.TimerSpec{Name: "x", Duration: &d}, "once")
	require.NoError(t, err)
	require.Equal(t, timerID, timer.ID.String())
	require.Equal(t, minoots.StatusScheduled, timer.Status)

	got := (*requests)[0]
	require.Equal(t, "POST /v1/timers", got.method+" "+got.path)
	require.JSONEq(t, `{"name":"x","duration":"45m"}`, got.body)
	require.Equal(t, "Bearer mnt_key", got.header.Get("Authorization"))
	require.Equal(t, "once", got.header.Get("Idempotency-Key"))
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
}

func TestCreateTimers(t *testing.T) {
	t.Parallel()
	c, requests := server(t, answer(201, "application/json", `{"timers":[{"id":"`+timerID+`"}]}`))
	timers, err := c.CreateTimers(t.Context(), []minoots.TimerSpec{{Name: "x"}})
	require.NoError(t, err)
	require.Len(t, timers, 1)
	require.Equal(t, "/v1/timers/batch", (*requests)[0].path)
	require.JSONEq(t, `{"timers":[{"name":"x"}]}`, (*requests)[0].body)
}

func TestTheOtherCalls(t *testing.T) {
	t.Parallel()
	c, requests := server(t, ok(`{"id":"`+timerID+`","items":[{"occurrence":1}]}`))
	id, err := minoots.ParseID(timerID)
	require.NoError(t, err)

	_, err = c.GetTimer(t.Context(), id)
	require.NoError(t, err)
	_, err = c.CancelTimer(t.Context(), id, "plans changed", "")
	require.NoError(t, err)
	_, err = c.PauseTimer(t.Context(), id)
	require.NoError(t, err)
	_, err = c.ResumeTimer(t.Context(), id, minoots.ResumeSkip)
	require.NoError(t, err)
	_, err = c.SnoozeTimer(t.Context(), id, minoots.Duration(time.Minute))
	require.NoError(t, err)
	_, err = c.SnoozeTimerUntil(t.Context(), id, time.Unix(0, 0))
	require.NoError(t, err)
	_, err = c.FireTimer(t.Context(), id)
	require.NoError(t, err)
	_, err = c.PatchTimer(t.Context(), id, map[string]any{"name": nil}, 3)
	require.NoError(t, err)
	require.Equal(t, `"3"`, (*requests)[len(*requests)-1].header.Get("If-Match"))
	firings, err := c.ListFirings(t.Context(), id, "abc", 5)
	require.NoError(t, err)
	require.Equal(t, 1, firings.Items[0].Occurrence)

	daily := minoots.RecurrencePreviewRequest{Recurrence: minoots.Recurrence{Cron: "@daily"}}
	preview, err := c.PreviewRecurrence(t.Context(), daily)
	require.NoError(t, err)
	require.Len(t, preview.Items, 1)

	var calls []string
	for _, r := range *requests {
		calls = append(calls, r.method+" "+r.path+" "+r.query.Encode()+" "+r.body)
	}
	require.Equal(t, []string{
		"GET /v1/timers/" + timerID + "  ",
		"POST /v1/timers/" + timerID + `/cancel  {"reason":"plans changed"}`,
		"POST /v1/timers/" + timerID + "/pause  ",
		"POST /v1/timers/" + timerID + `/resume  {"policy":"skip"}`,
		"POST /v1/timers/" + timerID + `/snooze  {"duration":"1m"}`,
		"POST /v1/timers/" + timerID + `/snooze  {"until":"1970-01-01T00:00:00.000000Z"}`,
		"POST /v1/timers/" + timerID + "/fire  ",
		"PATCH /v1/timers/" + timerID + `  {"name":null}`,
		"GET /v1/timers/" + timerID + "/firings cursor=abc&limit=5 ",
		`POST /v1/recurrences/preview  {"recurrence":{"cron":"@daily"}}`,
	}, calls)
}

func TestAllTimersWalksOverPages(t *testing.T) {
	t.Parallel()
	c, requests := server(t,
		ok(`{"items":[{"name":"a"},{"name":"b"}],"nextCursor":"two"}`),
		ok(`{"items":[],"nextCursor":"three"}`),
		ok(`{"items":[{"name":"c"}],"nextCursor":null}`))
	var names string
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	f := client.TimerFilter{
		Statuses: []minoots.Status{"scheduled", "fired"}, Labels: map[string]string{"k": "v:w"}, Name: "n",
		RequestedBy: "me", DueAfter: at, DueBefore: at.Add(time.Second), PageSize: 2,
	}
	for timer, err := range c.AllTimers(t.Context(), f) {
		require.NoError(t, err)
		names += timer.Name
	}
	require.Equal(t, "abc", names)
	require.Equal(t, url.Values{
		"status": {"scheduled", "fired"}, "label": {"k:v:w"}, "name": {"n"}, "requestedBy": {"me"}, "limit": {"2"},
		"dueAfter": {"2026-11-23T09:00:00.000000Z"}, "dueBefore": {"2026-11-23T09:00:01.000000Z"},
	}, (*requests)[0].query)
	require.Equal(t, "three", (*requests)[2].query.Get("cursor"))

	// It asks for no page that nobody wants.
	c, requests = server(t, ok(`{"items":[{"name":"a"}],"nextCursor":"two"}`))
	for _, err := range c.AllTimers(t.Context(), f) {
		require.NoError(t, err)
		break
	}
	require.Len(t, *requests, 1)

	// An error comes once, and ends it.
	c, _ = server(t, ok(`{"items":[{"name":"a"}],"nextCursor":"two"}`), answer(503, "text/plain", ""))
	var errs []error
	for _, err := range c.AllTimers(t.Context(), f) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 2)
	require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(errs[1]))
}

func TestProblemsBecomeErrors(t *testing.T) {
	t.Parallel()
	problem := map[string]any{
		"type": "urn:minoots:problem:invalid", "title": "The request does not validate", "status": 422,
		"detail": "the request does not validate: duration must be … (and 1 more)", "code": "invalid", "requestId": "r-1",
		"hint": "try", "errors": []map[string]string{
			{"path": "duration", "message": "must be", "location": "body.duration"}, {"message": "has two", "location": "body"},
		},
	}
	body, err := json.Marshal(problem)
	require.NoError(t, err)
	c, _ := server(t, answer(422, "application/problem+json", string(body), "Retry-After", "7"))
	_, err = c.GetTimer(t.Context(), minoots.ID{})
	var e *minoots.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, minoots.CodeInvalid, e.Code)
	require.Equal(t, "The request does not validate", e.Message)
	require.Equal(t, "try", e.Hint)
	require.Equal(t, []minoots.FieldError{{Path: "duration", Message: "must be"}, {Path: "body", Message: "has two"}}, e.Fields)
	var response *client.ResponseError
	require.ErrorAs(t, err, &response)
	require.Equal(t, client.ResponseError{Status: 422, RequestID: "r-1", RetryAfter: 7 * time.Second}, *response)
	require.Contains(t, err.Error(), "request r-1")
}

func TestAnswersThatAreNotTheAPIs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		answer func(http.ResponseWriter)
		code   minoots.Code
	}{
		{answer(502, "text/html", "<h1>Bad Gateway"), minoots.CodeUnavailable},
		{answer(404, "text/plain", "404 page not found"), minoots.CodeNotFound},
		{answer(429, "application/problem+json", `{"title":"slow"}`), minoots.CodeRateLimited},
		{answer(500, "application/problem+json", `nonsense`), minoots.CodeInternal},
		{answer(200, "text/html", "<h1>Welcome"), minoots.CodeInternal},
		{answer(418, "", ""), minoots.CodeInternal},
	} {
		c, _ := server(t, test.answer)
		_, err := c.GetTimer(t.Context(), minoots.ID{})
		var e *minoots.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, test.code, e.Code, err)
		require.NotEmpty(t, e.Message)
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	c, err := client.New(s.URL, "mnt_secret")
	require.NoError(t, err)
	_, err = c.GetTimer(t.Context(), minoots.ID{})
	require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err))
	require.NotContains(t, err.Error(), "mnt_secret")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.GetTimer(ctx, minoots.ID{})
	require.True(t, errors.Is(err, context.Canceled))
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "localhost:8080", "ftp://x", "http://", "http://a b"} {
		_, err := client.New(base, "k")
		require.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(err), base)
	}
	_, err := client.New("http://x", "a\nb")
	require.Error(t, err)
}
