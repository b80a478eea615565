package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/seal"
	"github.com/minoots/minoots/internal/testdb"
)

// An agent's way through the program: a delivery that waits, a heartbeat, the
// acknowledgement, and the same again.
func TestAcksCommands(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	_, api, _ := keyed(t, database.URL, "")
	d, err := db.Connect(t.Context(), db.Config{URL: database.URL, Name: "test"})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	_, err = d.TenantCreate(t.Context(), "acme", "")
	require.NoError(t, err)

	// A delivery as a worker leaves it that has sent it.
	delivery := &minoots.Delivery{
		TenantID: "acme", Timer: minoots.DeliveryTimer{ID: minoots.NewID()}, Occurrence: 1, DueAt: minoots.InstantOf(time.Now()),
		Action: minoots.Action{ID: "wake", Kind: minoots.KindAgentPrompt}, Alone: true,
	}
	args, err := json.Marshal(delivery)
	require.NoError(t, err)
	var job int64
	require.NoError(t, database.Pool.QueryRow(t.Context(), `INSERT INTO river.river_job (kind, args, max_attempts, queue, state, attempt, attempted_at)
		VALUES ('action', $1, 5, 'agent_prompt', 'running', 1, now()) RETURNING id`, args).Scan(&job))
	token := minoots.NewAcknowledgementToken()
	_, err = d.AcknowledgementOpen(t.Context(), db.AcknowledgementOpen{
		Token: token, JobID: job, Attempt: 1, Delivery: delivery, Replica: "one", Timeout: time.Minute,
	})
	require.NoError(t, err)
	parked, err := d.AcknowledgementPark(t.Context(), "acme", token, &minoots.Outcome{Success: true, HTTPStatus: 202})
	require.NoError(t, err)
	require.True(t, parked)

	url := "--url=" + api
	status, out, errOut := cli(t, "", "acks", "heartbeat", url, token, "--extend=10m", "--progress=page 3", "--json")
	require.Zero(t, status, errOut)
	require.Contains(t, out, delivery.Timer.ID.String())
	status, out, errOut = cli(t, "", "acks", "send", url, token, `--result={"pages": 12}`)
	require.Zero(t, status, errOut)
	require.Contains(t, out, "succeeded: action wake")
	status, _, errOut = cli(t, "", "acks", "send", url, token, "--failed=no")
	require.Equal(t, exitFailed, status)
	require.Contains(t, errOut, "acknowledged already, as succeeded")
	status, _, errOut = cli(t, "", "acks", "send", url, minoots.NewAcknowledgementToken())
	require.Equal(t, exitFailed, status)
	require.Contains(t, errOut, "no delivery has this token")
	require.NotContains(t, errOut, token)
}

// The whole way: a real replica wakes an agent over HTTP, which does not answer in
// time, is woken again, asks for more time and acknowledges; then the next action
// of the bundle runs.
func TestAnAgentIsWokenAndAcknowledges(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	_, api, _ := keyed(t, database.URL, seal.NewKey())
	d, err := db.Connect(t.Context(), db.Config{URL: database.URL, Name: "test"})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	_, err = d.TenantCreate(t.Context(), "acme", "")
	require.NoError(t, err)
	key, err := createKey(t.Context(), d, "acme", "test", []minoots.Role{minoots.RoleTenantAdmin})
	require.NoError(t, err)
	c, err := client.New(api, key.Secret)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	agent, err := client.New(api, "") // without a key
	require.NoError(t, err)
	t.Cleanup(agent.Close)

	woken := make(chan minoots.Acknowledgement, 16)
	hooked := make(chan string, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hook" {
			hooked <- r.Header.Get("webhook-id")
			return
		}
		var body struct{ Acknowledgement minoots.Acknowledgement }
		if json.NewDecoder(r.Body).Decode(&body) == nil && r.Header.Get("webhook-signature") != "" {
			woken <- body.Acknowledgement
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(receiver.Close)
	wake := func() minoots.Acknowledgement {
		t.Helper()
		select {
		case ack := <-woken:
			require.Equal(t, api+"/v1/acks/"+ack.Token, ack.URL)
			return ack
		case <-time.After(30 * time.Second):
			t.Fatal("the agent is not woken")
			return minoots.Acknowledgement{}
		}
	}

	in := minoots.Duration(time.Millisecond)
	timer, err := c.CreateTimer(t.Context(), minoots.TimerSpec{Duration: &in,
		AgentBinding: &minoots.AgentBinding{Adapter: minoots.AdapterCustom, Target: receiver.URL + "/agent", AcknowledgementTimeoutMs: 1500},
		ActionBundle: &minoots.Bundle{
			RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 5, BackoffInitialMs: 100, BackoffMaxMs: 200},
			Actions: []minoots.Action{
				{ID: "wake", Kind: minoots.KindAgentPrompt, Parameters: json.RawMessage(`{"prompt": "go on"}`)},
				{ID: "then", Kind: minoots.KindWebhook, Parameters: json.RawMessage(fmt.Sprintf(`{"url": %q}`, receiver.URL+"/hook"))},
			},
		}}, "")
	require.NoError(t, err)
	first := wake() // and no word
	second := wake()
	_, err = agent.Acknowledge(t.Context(), first.Token, nil)
	require.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
	beat, err := agent.Heartbeat(t.Context(), second.Token, time.Minute, "page 1 of 2")
	require.NoError(t, err)
	require.Equal(t, timer.ID, beat.TimerID)
	require.Empty(t, hooked, "the bundle is in order")
	_, err = agent.Acknowledge(t.Context(), second.Token, map[string]int{"pages": 2})
	require.NoError(t, err)
	select {
	case id := <-hooked:
		require.Contains(t, id, "_then")
	case <-time.After(30 * time.Second):
		t.Fatal("nothing follows")
	}
	require.Eventually(t, func() bool {
		timer, err = c.GetTimer(t.Context(), timer.ID)
		require.NoError(t, err)
		return timer.Status == minoots.StatusSettled
	}, 30*time.Second, 50*time.Millisecond)
	firing, err := d.FiringGet(t.Context(), "acme", timer.ID, 1)
	require.NoError(t, err)
	require.Len(t, firing.Attempts, 3)
	require.Equal(t, "ack_timeout", *firing.Attempts[0].ErrorClass)
	require.JSONEq(t, `{"pages": 2}`, *firing.Attempts[1].Response)
}
