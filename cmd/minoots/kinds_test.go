//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/testdb"
)

// documented are the complete timers of docs/actions.md.
func documented(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/actions.md")
	require.NoError(t, err)
	var timers []string
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1) {
		if bytes.Contains(block[1], []byte(`"actionBundle"`)) {
			timers = append(timers, string(block[1]))
		}
	}
	return timers
}

// call makes a request and decodes its answer.
func call(t *testing.T, method, url, key, body string, into any) (status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("X-Api-Key", key)
	r.Header.Set("Content-Type", "application/json")
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	res, err := c.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, into), "%s", raw)
	return res.StatusCode
}

// tenantKey makes a tenant with a key.
func tenantKey(t *testing.T, url string) string {
	t.Helper()
	d, err := db.Connect(t.Context(), db.Config{URL: url, Name: "test"})
	require.NoError(t, err)
	defer d.Close()
	_, err = d.TenantCreate(t.Context(), "acme", "")
	require.NoError(t, err)
	key, err := createKey(t.Context(), d, "acme", "test", []minoots.Role{minoots.RoleTenantAdmin})
	require.NoError(t, err)
	return key.Secret
}

// Every timer of docs/actions.md is made by the API and does what the page says,
// in a replica that does all and in two that share the work: there the jobs of all
// kinds but webhooks wait in queues that are opened for them.
func TestEveryDocumentedActionWorks(t *testing.T) {
	t.Parallel()
	timers := documented(t)
	require.Len(t, timers, 10, "docs/actions.md has another number of complete timers")
	for name, roles := range map[string][]config.Roles{
		"one replica":             {{API: true, Kernel: true, Worker: true}},
		"kernel and worker apart": {{API: true, Kernel: true}, {Worker: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, c := testdb.New(t).URL, newCounterparts(t)
			key, api := tenantKey(t, url), ""
			for _, r := range roles {
				if at := runKinds(t, url, api, c, r); r.API {
					api = at
				}
			}
			var made []minoots.Timer
			for _, source := range timers {
				source = regexp.MustCompile(`"duration": "[^"]*"`).ReplaceAllString(c.replace.Replace(source), `"duration": "10ms"`)
				var timer minoots.Timer
				require.Equal(t, http.StatusCreated, call(t, "POST", api+"/v1/timers", key, source, &timer), source)
				made = append(made, timer)
			}
			for _, timer := range made {
				firing := awaitFiring(t, api, key, timer.ID)
				assert.Equal(t, minoots.FiringSettled, firing.Status, timer.Name)
				assert.Len(t, firing.Attempts, len(timer.ActionBundle.Actions))
				for _, a := range firing.Attempts {
					t.Logf("%-15s %-7s %-14s attempt %d %s in %4.0f ms, http %s, error %s, response %q", timer.Name, a.ActionID, a.Kind, a.Attempt, a.Status,
						float64(a.FinishedAt.Sub(a.StartedAt.Time).Microseconds())/1000, shown(a.HTTPStatus), shown(a.Error), shown(a.Response))
				}
			}
			msg, err := c.stream.GetLastMsgForSubject(t.Context(), "minoots-workflow.acme.invoice.due")
			require.NoError(t, err)
			assert.JSONEq(t, `{"invoice": 4711}`, string(msg.Data))
		})
	}
}

func shown[T any](v *T) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(*v)
}

// awaitFiring waits until a timer's first firing has ended, and gives it with its
// attempts.
func awaitFiring(t *testing.T, api, key string, id minoots.ID) (firing minoots.Firing) {
	t.Helper()
	require.Eventually(t, func() bool {
		var raw json.RawMessage // until it has fired, a problem
		status := call(t, "GET", fmt.Sprintf("%s/v1/timers/%s/firings/1", api, id), key, "", &raw)
		return status == http.StatusOK && json.Unmarshal(raw, &firing) == nil && firing.Status != minoots.FiringRunning
	}, time.Minute, 100*time.Millisecond, "timer %s", id)
	return firing
}

// What cannot work is refused when the timer is made, and says where and why.
func TestActionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	url := testdb.New(t).URL
	r, api, _ := testReplica(t, url, config.Roles{API: true})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	<-r.Ready()
	key := tenantKey(t, url)
	const binding = `"agentBinding": {"adapter": "mcp", "target": "https://mcp.example.com"`
	for action, want := range map[string][2]string{
		`"actionBundle": {"actions": [{"id": "a", "kind": "workflow_event"}]}`:                                {"actionBundle.actions[0].kind", "MINOOTS_NATS_URL"},
		`"actionBundle": {"actions": [{"id": "a", "kind": "command", "parameters": {"program": "/bin/sh"}}]}`: {"actionBundle.actions[0].kind", "MINOOTS_COMMAND_ALLOW"},
		`"actionBundle": {"actions": [{"id": "a", "kind": "agent_prompt"}]}`:                                  {"actionBundle.actions[0].kind", "agentBinding"},
		binding + `}, "actionBundle": {"actions": [{"id": "a", "kind": "agent_prompt", "parameters": {}}]}`:   {"actionBundle.actions[0].parameters.tool", "MCP"},
		binding + `, "payloadTemplate": {"foo": [1, 2, "{{ 1 + }}"]}}`:                                        {"agentBinding.payloadTemplate.foo[2]", "does not compile"},
		binding + `, "payloadTemplate": {"a": "{{ metadata.a.all(x, metadata.b.all(y, x == y)) }}"}}`:         {"agentBinding.payloadTemplate.a", "list macro"},
		`"agentBinding": {"adapter": "mcp", "target": "http://10.0.0.1/mcp"}`:                                 {"agentBinding.target", "private"},
		`"agentBinding": {"adapter": "crewai", "target": "https://example.com"}`:                              {"agentBinding.adapter", "mcp, langchain, autogen, custom"},
	} {
		var problem struct {
			Errors []struct{ Location, Path, Field, Message string }
		}
		body := `{"name": "no", "duration": "1h", ` + action + `}`
		require.Equal(t, http.StatusUnprocessableEntity, call(t, "POST", api+"/v1/timers", key, body, &problem), action)
		text := fmt.Sprintf("%+v", problem)
		assert.Contains(t, text, want[0], action)
		assert.Contains(t, text, want[1], action)
	}
	var page struct{ Items []minoots.Timer }
	require.Equal(t, http.StatusOK, call(t, "GET", api+"/v1/timers", key, "", &page))
	assert.Empty(t, page.Items, "nothing half done")
}
