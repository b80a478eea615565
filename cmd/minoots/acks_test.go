package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
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

func TestPublicURL(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", ":8080": "http://127.0.0.1:8080", "0.0.0.0:80": "http://127.0.0.1:80",
		"[::]:8080": "http://127.0.0.1:8080", "timers.internal:8080": "http://timers.internal:8080", "[::1]:8080": "http://[::1]:8080",
	} {
		r := &replica{}
		r.cfg.HTTPAddr = addr
		require.Equal(t, want, r.publicURL())
		r.cfg.PublicURL = "https://timers.example.com"
		require.Equal(t, "https://timers.example.com", r.publicURL())
	}
}
