package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pretendAPI answers with a body and gives what it was asked last.
func pretendAPI(t *testing.T, answer string) (flags []string, asked *string) {
	t.Helper()
	asked = new(string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		*asked = r.Method + " " + r.URL.RequestURI() + " " + string(b)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return []string{"--url=" + s.URL, "--api-key=k"}, asked
}

func TestTimersCreateMergesFileAndFlags(t *testing.T) {
	t.Parallel()
	flags, asked := pretendAPI(t, `{"id":"`+someID+`","status":"scheduled","fireAt":"2026-11-23T09:00:00Z"}`)
	status, out, errOut := cli(t, `{"name":"from file","fireAt":"2030-01-01T00:00:00Z","labels":{"a":"1","b":"2"}}`, append(flags,
		"timers", "create", "--file=-", "--in=45m", "--label=b=3", "--webhook=https://example.com/?a=1&b=2", "--metadata=[1]")...)
	require.Equal(t, exitDone, status, errOut)
	require.Contains(t, out, someID+" scheduled, due ")
	method, body, _ := strings.Cut(*asked, "/v1/timers ")
	require.Equal(t, "POST ", method)
	require.JSONEq(t, `{"name":"from file","duration":"45m","labels":{"a":"1","b":"3"},"metadata":[1],"actionBundle":{"actions":[
		{"id":"webhook","kind":"webhook","parameters":{"url":"https://example.com/?a=1&b=2"}}]}}`, body)

	flags, asked = pretendAPI(t, `{"timers":[{"id":"`+someID+`"},{"id":"`+someID+`"}]}`)
	for _, list := range []string{`[{"duration":"1s"},{"duration":"2s"}]`, `{"timers":[{"duration":"1s"},{"duration":"2s"}]}`} {
		status, out, errOut = cli(t, list, append(flags, "timers", "create", "--file=-", "--json")...)
		require.Equal(t, exitDone, status, errOut)
		require.Equal(t, `POST /v1/timers/batch {"timers":[{"duration":"1s"},{"duration":"2s"}]}`, *asked)
		require.True(t, json.Valid([]byte(out)))
	}
	status, _, errOut = cli(t, `{"duratoin":"1s"}`, append(flags, "timers", "create", "--file=-")...)
	require.Equal(t, exitMisuse, status)
	require.Contains(t, errOut, "duratoin")
}

func TestTimersPatch(t *testing.T) {
	t.Parallel()
	flags, asked := pretendAPI(t, `{"id":"`+someID+`","status":"paused"}`)
	status, out, errOut := cli(t, `{"metadata":{"a":null},"name":"from file"}`, append(flags, "timers", "patch", someID, "--file=-",
		"--in=45m", "--name=", "--label=a=1", "--unlabel=b", "--webhook=https://example.com/x", "--if-match=3")...)
	require.Equal(t, exitDone, status, errOut)
	require.Equal(t, someID+" paused\n", out)
	method, body, _ := strings.Cut(*asked, " /v1/timers/"+someID+" ")
	require.Equal(t, "PATCH", method)
	require.JSONEq(t, `{"name":"","duration":"45m","labels":{"a":"1","b":null},"metadata":{"a":null},"actionBundle":{"actions":[
		{"id":"webhook","kind":"webhook","parameters":{"url":"https://example.com/x"}}]}}`, body)
}

func TestTimersSnoozeAndFire(t *testing.T) {
	t.Parallel()
	flags, asked := pretendAPI(t, `{"id":"`+someID+`","status":"scheduled","fireAt":"2020-11-23T09:00:00Z"}`)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"snooze", someID, "--for=10m"}, `/snooze {"duration":"10m"}`},
		{[]string{"snooze", someID, "--until=2026-11-23T10:00:00+01:00"}, `/snooze {"until":"2026-11-23T09:00:00.000000Z"}`},
		{[]string{"fire", someID}, "/fire "},
	} {
		status, out, errOut := cli(t, "", append(append(flags, "timers"), test.args...)...)
		require.Equal(t, exitDone, status, errOut)
		require.Equal(t, "POST /v1/timers/"+someID+test.want, *asked)
		require.Contains(t, out, someID+" scheduled, due ")
	}
}

func TestTimersListAndWatch(t *testing.T) {
	t.Parallel()
	flags, asked := pretendAPI(t, `{"items":[{"id":"`+someID+`","status":"settled","name":"evil \u001b[2J","version":3,
		"fireAt":"2026-11-23T09:00:00Z","labels":{"k":"v"},"lastFiring":{"latenessMs":1.25}}],"nextCursor":null}`)
	status, out, errOut := cli(t, "", append(flags, "timers", "list", "--label=k=v", "--status=settled", "--limit=5")...)
	require.Equal(t, exitDone, status, errOut)
	require.Equal(t, "GET /v1/timers?label=k%3Av&limit=5&status=settled ", *asked)
	require.Contains(t, out, "k=v")
	require.NotContains(t, out, "\x1b", "what callers wrote must not reach the terminal")

	flags, _ = pretendAPI(t, `{"id":"`+someID+`","status":"settled","version":3,"fireAt":"2026-11-23T09:00:00Z"}`)
	status, out, errOut = cli(t, "", append(flags, "timers", "watch", someID)...)
	require.Equal(t, exitDone, status, errOut)
	require.Equal(t, 1, strings.Count(out, "\n"))
	_, out, _ = cli(t, "", append(flags, "timers", "watch", someID, "--json")...)
	require.True(t, json.Valid([]byte(out)), out)
	_, out, _ = cli(t, "", append(flags, "timers", "cancel", someID, someID)...)
	require.Equal(t, strings.Repeat(someID+" settled\n", 2), out)
	_, out, _ = cli(t, "", append(flags, "timers", "pause", someID, someID)...)
	require.Equal(t, strings.Repeat(someID+" settled\n", 2), out)
	_, out, _ = cli(t, "", append(flags, "timers", "resume", someID, "--policy=fire", "--json")...)
	require.True(t, json.Valid([]byte(out)), out)
	_, out, _ = cli(t, "", append(flags, "timers", "get", someID)...)
	require.Contains(t, out, "settled")
}

func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	flags, _ := pretendAPI(t, `{"items":[],"nextCursor":null}`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errOut bytes.Buffer
	require.Equal(t, exitDone, run(ctx, append(flags, "timers", "watch"), nil, &out, &errOut), errOut.String())
}
