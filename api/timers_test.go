package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// contractTimer is the timer of the contract, less what this version refuses.
const contractTimer = `{"name": "resume-research", "duration": "45m", "requestedBy": "agent:planner", "tenantId": "acme",
 "labels": {"session": "s-17"}, "metadata": {"any": "JSON"},
 "actionBundle": {"concurrency": 1,
   "retryPolicy": {"maxAttempts": 5, "backoffInitialMs": 1000, "backoffMultiplier": 2, "backoffMaxMs": 3600000},
   "actions": [{"id": "wake", "kind": "webhook", "escalation": null,
     "parameters": {"url": "https://example.com/hook", "method": "POST", "headers": {}, "body": null, "timeoutMs": 10000}}]},
 "agentBinding": {"adapter": "mcp", "target": "x", "payloadTemplate": {}, "acknowledgementTimeoutMs": 60000},
 "misfire": {"policy": "fire_once", "graceMs": 60000}, "jitterMs": 0}`

func TestCreateTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var made, got minoots.Timer
	created := b.call("POST", "/v1/timers", contractTimer).is(http.StatusCreated)
	created.into(&made)
	assert.Equal(t, "/v1/timers/"+made.ID.String(), created.Header.Get("Location"))
	assert.Equal(t, `"1"`, created.Header.Get("ETag"))
	assert.Equal(t, "acme", made.TenantID)
	assert.Equal(t, minoots.StatusScheduled, made.Status)
	assert.Equal(t, 45*time.Minute, made.FireAt.Sub(made.CreatedAt.Time))
	require.Len(t, b.hints.take(), 1)

	read := b.call("GET", created.Header.Get("Location"), "").is(http.StatusOK)
	read.into(&got)
	assert.Equal(t, made, got, "a create answers what a read gives")
	for _, null := range []string{"firedAt", "settledAt", "cancelledAt", "cancelReason", "cancelledBy", "failureReason"} {
		assert.Contains(t, string(read.body), `"`+null+`":null`)
	}
}

func TestCreateTimerWritesDefaultsOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	timer := b.create(`{"duration": 60000, "agentBinding": {"adapter": "mcp", "target": "x"},
		"actionBundle": {"actions": [{"id": "a", "kind": "webhook", "parameters": {"url": "https://x.example"}}]}}`)
	assert.Equal(t, "1m", timer.Duration.String())
	assert.Equal(t, 1, timer.ActionBundle.Concurrency)
	assert.Equal(t, minoots.DefaultRetryPolicy, *timer.ActionBundle.RetryPolicy)
	assert.EqualValues(t, 60_000, timer.AgentBinding.AcknowledgementTimeoutMs)
}

func TestCreateTimerIdempotently(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := []string{"Idempotency-Key", "k-1"}
	first := b.create(`{"name": "a", "duration": "1h"}`, key...)
	assert.Len(t, b.hints.take(), 1)

	again := b.call("POST", "/v1/timers", `{ "duration":"1h",  "name":"a" }`, key...).is(http.StatusOK)
	assert.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	assert.Empty(t, b.hints.take())
	var replayed minoots.Timer
	again.into(&replayed)
	assert.Equal(t, first.ID, replayed.ID)

	other := b.call("POST", "/v1/timers", `{"name": "b", "duration": "1h"}`, key...).is(http.StatusConflict)
	assert.Equal(t, minoots.CodeConflict, other.problem().Code)
	elsewhere := b.create(`{"name": "a", "duration": "1h"}`, "Idempotency-Key", "k-1", "X-Api-Key", b.other)
	assert.NotEqual(t, first.ID, elsewhere.ID, "keys belong to tenants")
	assert.Equal(t, 2, b.count("timers"))
}

func TestCreateTimerIdempotentlyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var wait sync.WaitGroup
	statuses := make([]int, 16)
	ids := make([]minoots.ID, len(statuses))
	for i := range statuses {
		wait.Go(func() {
			a := b.call("POST", "/v1/timers", `{"duration": "1h"}`, "Idempotency-Key", "burst")
			var timer minoots.Timer
			a.into(&timer)
			statuses[i], ids[i] = a.StatusCode, timer.ID
		})
	}
	wait.Wait()
	created := 0
	for i, status := range statuses {
		assert.Equal(t, ids[0], ids[i])
		if status == http.StatusCreated {
			created++
		} else {
			assert.Equal(t, http.StatusOK, status)
		}
	}
	assert.Equal(t, 1, created)
	assert.Equal(t, 1, b.count("timers"))
}

func TestGetTimerByETag(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/v1/timers/" + b.create(`{"duration": "1h"}`).ID.String()
	for tag, status := range map[string]int{
		`"1"`: 304, `W/"1"`: 304, `"7", "1"`: 304, `*`: 304, `"2"`: 200, `1`: 200, ``: 200,
	} {
		a := b.call("GET", path, "", "If-None-Match", tag).is(status)
		assert.Equal(t, `"1"`, a.Header.Get("ETag"))
		assert.Equal(t, status == 304, len(a.body) == 0)
	}
}

func TestCancelTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/v1/timers/" + b.create(`{"duration": "1h"}`).ID.String()
	var first, again minoots.Timer
	b.call("POST", path+"/cancel", `{"reason": "done", "requestedBy": "me"}`).is(http.StatusOK).into(&first)
	assert.Equal(t, minoots.StatusCancelled, first.Status)
	assert.Equal(t, "done", *first.CancelReason)
	assert.Equal(t, "me", *first.CancelledBy)
	b.call("POST", path+"/cancel", `{"reason": "other"}`).is(http.StatusOK).into(&again)
	assert.Equal(t, first, again)

	bare := "/v1/timers/" + b.create(`{"duration": "1h"}`).ID.String() + "/cancel"
	b.call("POST", bare, "", "Content-Type", "application/x-www-form-urlencoded").is(http.StatusOK)

	fired := b.create(`{"duration": "1h"}`).ID
	_, err := b.pool.Exec(t.Context(), "UPDATE minoots.timer_states SET status = 'fired', due_at = NULL WHERE id = $1", fired)
	require.NoError(t, err)
	p := b.call("POST", "/v1/timers/"+fired.String()+"/cancel", "").is(http.StatusConflict).problem()
	assert.Equal(t, minoots.CodeConflict, p.Code)
}

func TestCreateTimers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var made struct{ Timers []minoots.Timer }
	b.call("POST", "/v1/timers/batch", `{"timers": [{"name": "late", "duration": "2h"}, {"name": "early", "duration": "1h"}]}`).
		is(http.StatusCreated).into(&made)
	require.Len(t, made.Timers, 2)
	assert.Equal(t, "late", made.Timers[0].Name)
	hints := b.hints.take()
	require.Len(t, hints, len(made.Timers), "of each, since each has an instant of its own")

	full := `{"timers": [` + strings.Repeat(`{"duration": "1h"},`, minoots.MaxBatchTimers-1) + `{"duration": "1h"}]}`
	b.call("POST", "/v1/timers/batch", full).is(http.StatusCreated).into(&made)
	assert.Len(t, made.Timers, minoots.MaxBatchTimers)
	assert.Equal(t, minoots.MaxBatchTimers+2, b.count("timers"))
}
