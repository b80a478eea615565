package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// deadLetter makes a timer, fires it, and has its action fail for good.
func (b *bundle) deadLetter() (timer minoots.Timer) {
	b.t.Helper()
	timer = b.create(`{"duration":"1ms","name":"n","actionBundle":{"actions":[{"id":"a","kind":"webhook","parameters":{"url":"https://x.example"}}]}}`)
	batch := &db.JobBatch{Replica: "replica"}
	var d minoots.Delivery
	require.Eventually(b.t, func() bool {
		fired, err := b.db.TimerClaim(b.t.Context(), db.ClaimRequest{Limit: 1}, func(_ context.Context, _ db.Tx, fired []db.Fired) (*db.JobBatch, error) {
			f := fired[0]
			d = f.Bundle.Delivers(f.Bundle.Actions[0], minoots.Delivery{
				TenantID: f.TenantID, Timer: minoots.DeliveryTimer{ID: f.ID}, Occurrence: 1, DueAt: minoots.InstantOf(f.DueAt), FiredAt: minoots.InstantOf(f.FiredAt),
			})
			args, err := json.Marshal(d)
			batch.Jobs = []db.Job{{Queue: "webhook", MaxAttempts: 5, Args: args, Here: true}}
			return batch, err
		})
		require.NoError(b.t, err)
		return len(fired) == 1
	}, 15*time.Second, time.Millisecond)
	require.Equal(b.t, timer.ID, d.Timer.ID)
	live, err := b.db.OutcomeRecord(b.t.Context(), "replica", []db.OutcomeRecord{{
		JobID: batch.Jobs[0].ID, Attempt: 1, Final: true, Delivery: &d,
		Outcome: minoots.Outcome{HTTPStatus: 404, ErrorClass: "http_status", Error: "no", StartedAt: time.Now(), FinishedAt: time.Now()},
	}}, nil)
	require.NoError(b.t, err)
	require.Equal(b.t, []bool{true}, live)
	return timer
}

type letters struct {
	Items      []minoots.DeadLetter `json:"items"`
	NextCursor string               `json:"nextCursor"`
}

func (b *bundle) letters(query string) (got letters) {
	b.t.Helper()
	b.call("GET", "/v1/dead-letters"+query, "").is(http.StatusOK).into(&got)
	return got
}

type redriveAnswer struct {
	DryRun bool
	Count  int
	More   bool
}

func (b *bundle) redriveAll(body string, headers ...string) (got redriveAnswer) {
	b.t.Helper()
	b.call("POST", "/v1/dead-letters/redrive", body, headers...).is(http.StatusOK).into(&got)
	return got
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	assert.Empty(t, b.letters("").Items)
	timers := []minoots.Timer{b.deadLetter(), b.deadLetter(), b.deadLetter()}
	all := b.letters("").Items
	require.Len(t, all, 3)
	for i, l := range all {
		assert.Equal(t, timers[i].ID, l.TimerID, "the oldest first")
		assert.Equal(t, timers[i].ID.String()+"_1_a", l.WebhookID)
		assert.Equal(t, 404, *l.HTTPStatus)
		assert.Nil(t, l.Action)
	}
	page := b.letters("?limit=2")
	assert.Equal(t, all[:2], page.Items)
	page = b.letters("?limit=2&cursor=" + page.NextCursor)
	assert.Equal(t, all[2:], page.Items)
	assert.Empty(t, page.NextCursor)
	assert.Equal(t, all[1:2], b.letters("?timerId="+timers[1].ID.String()).Items)
	assert.Equal(t, all, b.letters("?kind=webhook&errorClass=http_status&status=dead&createdAfter="+all[0].CreatedAt.String()).Items)
	assert.Empty(t, b.letters("?createdBefore="+all[0].CreatedAt.String()).Items)
	assert.Empty(t, b.letters("?errorClass=timeout").Items)

	one := "/v1/dead-letters/" + all[0].ID.String()
	var got minoots.DeadLetter
	b.call("GET", one, "").is(http.StatusOK).into(&got)
	assert.Equal(t, "a", got.Action.ID)
	assert.JSONEq(t, `{"url":"https://x.example"}`, string(got.Action.Parameters))
	require.Len(t, got.History, 1)
	assert.Equal(t, minoots.AttemptFailed, got.History[0].Status)

	b.call("POST", one+"/redrive", "").is(http.StatusOK).into(&got)
	assert.Equal(t, minoots.DeadLetterRedriven, got.Status)
	for _, a := range []*answer{b.call("POST", one+"/redrive", ""), b.call("DELETE", one, "")} {
		assert.Contains(t, a.is(http.StatusConflict).problem().Detail, "is being redriven already")
	}
	assert.Equal(t, all[0].ID, b.letters("?status=redriven").Items[0].ID)

	// The others, by filter: not by another tenant, and not by a dry run.
	assert.Equal(t, redriveAnswer{}, b.redriveAll(`{"all":true}`, "X-Api-Key", b.other))
	assert.Equal(t, redriveAnswer{DryRun: true, Count: 2}, b.redriveAll(`{"kind":"webhook","dryRun":true}`))
	assert.Equal(t, redriveAnswer{Count: 1}, b.redriveAll(`{"timerId":"`+timers[1].ID.String()+`"}`))
	assert.Len(t, b.letters("").Items, 1)

	last := "/v1/dead-letters/" + all[2].ID.String()
	for range 2 {
		assert.Empty(t, b.call("DELETE", last, "").is(http.StatusNoContent).body)
	}
	assert.Contains(t, b.call("POST", last+"/redrive", "").is(http.StatusConflict).problem().Detail, "was discarded")
	assert.Equal(t, redriveAnswer{}, b.redriveAll(`{"all":true}`))
	var jobs int
	require.NoError(t, b.pool.QueryRow(t.Context(), "SELECT count(*) FROM river.river_job").Scan(&jobs))
	assert.Equal(t, 2, jobs)
}

func TestBadDeadLetters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deadLetter()
	letter := "/v1/dead-letters/" + b.letters("").Items[0].ID.String()
	nobody := "/v1/dead-letters/" + minoots.NewID().String()
	redrive := "/v1/dead-letters/redrive"
	cases := []badRequest{
		{"no filter", "POST", redrive, `{}`, 422, "", "all: true", nil},
		{"no filter, dry", "POST", redrive, `{"dryRun":true}`, 422, "", "all: true", nil},
		{"both", "POST", redrive, `{"all":true,"kind":"webhook"}`, 422, "all", "beside a filter", nil},
		{"kind", "POST", redrive, `{"kind":"mail"}`, 422, "kind", "must be one of", nil},
		{"timer", "POST", redrive, `{"timerId":"x"}`, 422, "timerId", "", nil},
		{"field", "POST", redrive, `{"status":"dead"}`, 422, "status", "want one of timerId", nil},
		{"nothing", "POST", redrive, ``, 400, "", "is empty", nil},
		{"status", "GET", "/v1/dead-letters?status=alive", ``, 422, "status", "must be one of", nil},
		{"list kind", "GET", "/v1/dead-letters?kind=mail", ``, 422, "kind", "must be one of", nil},
		{"instant", "GET", "/v1/dead-letters?createdAfter=soon", ``, 422, "createdAfter", "", nil},
		{"cursor", "GET", "/v1/dead-letters?cursor=x", ``, 422, "cursor", "nextCursor", nil},
		{"parameter", "GET", "/v1/dead-letters?tenant=x", ``, 422, "tenant", "", nil},
	}
	for _, path := range []string{nobody, letter} {
		headers := []string(nil)
		if path == letter {
			headers = []string{"X-Api-Key", b.other} // another tenant's is not there
		}
		cases = append(cases,
			badRequest{"get", "GET", path, ``, 404, "", "no dead letter", headers},
			badRequest{"redrive", "POST", path + "/redrive", ``, 404, "", "no dead letter", headers},
			badRequest{"discard", "DELETE", path, ``, 404, "", "no dead letter", headers},
		)
	}
	b.hints.take()
	b.refuse(cases)
	assert.Equal(t, minoots.DeadLetterDead, b.letters("").Items[0].Status, "nothing was done")
}
