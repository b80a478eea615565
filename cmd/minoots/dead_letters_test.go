package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	flags, asked := pretendAPI(t, `{"items":[{"id":"`+someID+`","status":"dead","actionId":"wake","attempts":5,"httpStatus":503,
		"error":"evil \u001b[2J"}],"nextCursor":null,"id":"`+someID+`","status":"redriven","count":3,"history":[{"attempt":1,"status":"failed"}]}`)
	run := func(args ...string) (int, string, string) {
		return cli(t, "", append(append(append([]string{}, flags...), "dead-letters"), args...)...)
	}
	status, out, errOut := run("list", "--kind=webhook", "--timer="+someID, "--status=resolved", "--limit=5")
	require.Equal(t, exitDone, status, errOut)
	require.Equal(t, "GET /v1/dead-letters?kind=webhook&limit=5&status=resolved&timerId="+someID+" ", *asked)
	require.Contains(t, out, "HTTP 503")
	require.NotContains(t, out, "\x1b", "what receivers wrote must not reach the terminal")

	for _, test := range []struct {
		args        []string
		asked, says string
	}{
		{[]string{"get", someID}, "GET /v1/dead-letters/" + someID + " ", "ATTEMPT"},
		{[]string{"redrive", someID}, "POST /v1/dead-letters/" + someID + "/redrive ", someID + " redriven\n"},
		{[]string{"redrive", "--all", "--dry-run"}, `POST /v1/dead-letters/redrive {"all":true,"dryRun":true}`, "3 to be redriven\n"},
		{[]string{"redrive", "--error-class=timeout"}, `POST /v1/dead-letters/redrive {"errorClass":"timeout"}`, "3 redriven\n"},
		{[]string{"discard", someID}, "DELETE /v1/dead-letters/" + someID + " ", someID + " discarded\n"},
	} {
		status, out, errOut := run(test.args...)
		require.Equal(t, exitDone, status, errOut)
		require.Equal(t, test.asked, *asked)
		require.Contains(t, out, test.says)
		status, out, _ = run(append(test.args, "--json")...)
		require.Equal(t, exitDone, status)
		require.True(t, json.Valid([]byte(out)), out)
	}
	for _, args := range [][]string{
		{"redrive"}, {"redrive", someID, "--all"}, {"redrive", "--all", "--kind=webhook"}, {"redrive", "x"}, {"redrive", "--kind=mail"},
		{"list", "--status=alive"}, {"list", "--timer=x"}, {"list", "--limit=-1"}, {"discard"}, {"get"},
	} {
		status, _, errOut := run(args...)
		require.Equal(t, exitMisuse, status, strings.Join(args, " "))
		require.Equal(t, 1, strings.Count(errOut, "\n"))
	}
}
