package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// deliver makes a timer of two actions, fires it, and asks for an acknowledgement
// of the first, as a worker does. It gives the token.
func (b *bundle) deliver() (minoots.ID, string) {
	b.t.Helper()
	timer := b.create(`{"duration":1,"actionBundle":{"actions":[
		{"id":"wake","kind":"webhook","parameters":{"url":"https://example.com"}},
		{"id":"then","kind":"webhook","parameters":{"url":"https://example.com"}}]}}`)
	require.Eventually(b.t, func() bool {
		fired, err := b.db.TimerClaim(b.t.Context(), db.ClaimRequest{Limit: 1}, func(ctx context.Context, _ db.Tx, fired []db.Fired) (*db.JobBatch, error) {
			f := &fired[0]
			return follower{}.Plan(ctx, []minoots.Delivery{{
				TenantID: f.TenantID, Timer: minoots.DeliveryTimer{ID: f.ID}, Occurrence: f.Occurrence,
				DueAt: minoots.InstantOf(f.DueAt), FiredAt: minoots.InstantOf(f.FiredAt), Action: f.Bundle.Actions[0],
			}})
		})
		require.NoError(b.t, err)
		return len(fired) == 1
	}, 10*time.Second, 5*time.Millisecond)
	var job int64
	require.NoError(b.t, b.pool.QueryRow(b.t.Context(), `UPDATE river.river_job SET state = 'running', attempt = 1
		WHERE args #>> '{timer,id}' = $1::text RETURNING id`, timer.ID.String()).Scan(&job))
	token := minoots.NewAcknowledgementToken()
	_, err := b.db.AcknowledgementOpen(b.t.Context(), db.AcknowledgementOpen{
		Token: token, JobID: job, Attempt: 1, Replica: "one", Timeout: time.Minute,
		Delivery: &minoots.Delivery{TenantID: "acme", Timer: minoots.DeliveryTimer{ID: timer.ID}, Occurrence: 1, Action: minoots.Action{ID: "wake"}},
	})
	require.NoError(b.t, err)
	parked, err := b.db.AcknowledgementPark(b.t.Context(), "acme", token, &minoots.Outcome{Success: true, HTTPStatus: 202})
	require.NoError(b.t, err)
	require.True(b.t, parked)
	return timer.ID, token
}

func TestAcknowledge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	timer, token := b.deliver()
	path, open := "/v1/acks/"+token, []string{"X-Api-Key", ""}

	var beat minoots.Heartbeat
	b.call("POST", path+"/heartbeat", `{"extendMs":600000,"progress":"page 3 of 12"}`, open...).is(http.StatusOK).into(&beat)
	assert.WithinDuration(t, time.Now().Add(10*time.Minute), beat.ExpiresAt.Time, 30*time.Second)
	b.call("POST", path+"/heartbeat", "", open...).is(http.StatusOK)
	var firings page[minoots.Firing]
	b.call("GET", "/v1/timers/"+timer.String()+"/firings", "").is(http.StatusOK).into(&firings)
	require.Len(t, firings.Items[0].Awaited, 1)
	assert.Equal(t, "page 3 of 12", *firings.Items[0].Awaited[0].Progress)

	var receipt minoots.AcknowledgementReceipt
	b.call("POST", path, `{"result":{"pages":12}}`, open...).is(http.StatusOK).into(&receipt)
	assert.Equal(t, timer, receipt.TimerID)
	assert.Equal(t, minoots.AcknowledgementSucceeded, receipt.Status)
	var firing minoots.Firing
	b.call("GET", "/v1/timers/"+timer.String()+"/firings/1", "").is(http.StatusOK).into(&firing)
	assert.Empty(t, firing.Awaited)
	require.Len(t, firing.Attempts, 1)
	assert.JSONEq(t, `{"pages":12}`, *firing.Attempts[0].Response)

	p := b.call("POST", path, `{"status":"failed"}`, open...).is(http.StatusConflict).problem()
	assert.Contains(t, p.Detail, receipt.AcknowledgedAt.String())
	b.call("POST", path+"/heartbeat", "", open...).is(http.StatusConflict)

	_, late := b.deliver()
	_, err := b.pool.Exec(t.Context(), "UPDATE minoots.acknowledgements SET expires_at = now() WHERE status = 'waiting'")
	require.NoError(t, err)
	p = b.call("POST", "/v1/acks/"+late, "", open...).is(http.StatusGone).problem()
	assert.NotEmpty(t, p.Hint)
	b.call("POST", "/v1/acks/"+late+"/heartbeat", "", open...).is(http.StatusGone)
	assert.NotContains(t, b.log.String(), token)
	assert.NotContains(t, b.log.String(), late)
}

func TestAcknowledgeBadInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, token := b.deliver()
	unknown := minoots.NewAcknowledgementToken()
	for name, c := range map[string]struct {
		path, body string
		status     int
		field      string
	}{
		"forged":             {unknown, "", 404, ""},
		"forged heartbeat":   {unknown + "/heartbeat", "", 404, ""},
		"no token":           {"swordfish", "", 404, ""},
		"long":               {token + "x", "", 404, ""},
		"an API key":         {b.admin, "", 404, ""},
		"not JSON":           {token, "{", 400, ""},
		"status":             {token, `{"status":"done"}`, 422, "status"},
		"unknown field":      {token, `{"results":1}`, 422, "results"},
		"large result":       {token, `{"result":"` + strings.Repeat("x", 4096) + `"}`, 422, "result"},
		"large body":         {token, `{"result":"` + strings.Repeat("x", 70_000) + `"}`, 413, ""},
		"error of success":   {token, `{"error":"no"}`, 422, "error"},
		"retry of success":   {token, `{"retry":false}`, 422, "retry"},
		"long error":         {token, `{"status":"failed","error":"` + strings.Repeat("é", 1025) + `"}`, 422, "error"},
		"short extension":    {token + "/heartbeat", `{"extendMs":999}`, 422, "extendMs"},
		"negative extension": {token + "/heartbeat", `{"extendMs":-1}`, 422, "extendMs"},
		"long extension":     {token + "/heartbeat", `{"extendMs":604800001}`, 422, "extendMs"},
		"huge extension":     {token + "/heartbeat", `{"extendMs":9223372036854775807}`, 422, "extendMs"},
		"long progress":      {token + "/heartbeat", `{"progress":"` + strings.Repeat("é", 1025) + `"}`, 422, "progress"},
		"parameter":          {token + "?retry=1", "", 422, "retry"},
	} {
		p := b.call("POST", "/v1/acks/"+c.path, c.body, "X-Api-Key", "").is(c.status).problem()
		if c.field != "" && assert.NotEmpty(t, p.Errors, name) {
			assert.Equal(t, c.field, p.Errors[0].Path, name)
		}
	}
	b.call("GET", "/v1/acks/"+token, "").is(http.StatusMethodNotAllowed)
	assert.NotContains(t, b.log.String(), token)
	assert.Equal(t, 1, func() (n int) {
		require.NoError(t, b.pool.QueryRow(t.Context(), "SELECT count(*) FROM minoots.acknowledgements WHERE status = 'waiting' AND progress IS NULL").Scan(&n))
		return n
	}(), "nothing half done")
}
