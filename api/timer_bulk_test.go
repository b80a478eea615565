package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

type bulkAnswer struct {
	Matched, Changed, Skipped int
	DryRun, More              bool
	NextCursor                *string
}

func (b *bundle) many(operation, body string) (out bulkAnswer) {
	b.t.Helper()
	b.call("POST", "/v1/timers/"+operation, body).is(http.StatusOK).into(&out)
	return out
}

func TestBulk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for i := range 6 {
		b.create(fmt.Sprintf(`{"name": "job-%d", "fireAt": %q, "labels": {"set": "s%d"}, "requestedBy": "me"}`, i, at.Format(time.RFC3339), i%2))
	}
	b.create(`{"name": "foreign", "duration": "1h", "labels": {"set": "s0"}}`, "X-Api-Key", b.other)

	assert.Equal(t, bulkAnswer{Matched: 3, DryRun: true}, b.many("cancel", `{"filter": {"labels": {"set": "s0"}}, "dryRun": true}`))
	assert.Equal(t, bulkAnswer{Matched: 6, DryRun: true}, b.many("cancel", `{"all": true, "dryRun": true}`))
	assert.Equal(t, bulkAnswer{Matched: 3, Changed: 3}, b.many("pause", `{"filter": {"labels": {"set": "s0"}}}`))
	assert.Equal(t, bulkAnswer{}, b.many("pause", `{"filter": {"labels": {"set": "s0"}}}`), "a repeat finds nothing more")
	b.hints.take()
	assert.Equal(t, bulkAnswer{Matched: 3, Changed: 3}, b.many("reschedule", `{"filter": {"namePrefix": "job-", "status": ["scheduled"]}, "delay": "-2h"}`))
	assert.NotEmpty(t, b.hints.take(), "they are due now")
	assert.Equal(t, bulkAnswer{Matched: 3, Changed: 3}, b.many("resume", `{"filter": {"status": ["paused"]}, "policy": "fire"}`))

	first := b.many("cancel", `{"filter": {"requestedBy": "me"}, "limit": 4, "reason": "over"}`)
	require.NotNil(t, first.NextCursor)
	assert.True(t, first.More)
	rest := b.many("cancel", fmt.Sprintf(`{"filter": {"requestedBy": "me"}, "limit": 4, "cursor": %q}`, *first.NextCursor))
	assert.Equal(t, 6, first.Changed+rest.Changed)
	assert.Nil(t, rest.NextCursor)
	var p page[minoots.Timer]
	b.call("GET", "/v1/timers?status=cancelled&namePrefix=job-", "").is(http.StatusOK).into(&p)
	require.Len(t, p.Items, 6)
	assert.Equal(t, "over", *p.Items[0].CancelReason)
	b.call("GET", "/v1/timers?status=scheduled", "", "X-Api-Key", b.other).is(http.StatusOK).into(&p)
	assert.Len(t, p.Items, 1, "another tenant's")
}

func TestBulkBadInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(`{"duration": "1h"}`)
	for _, c := range []struct{ operation, body, path, says string }{
		{"cancel", `{}`, "filter", "all: true"},
		{"cancel", `{"filter": {}}`, "filter", "status, labels, name, namePrefix, requestedBy, dueAfter, dueBefore"},
		{"cancel", `{"dryRun": true}`, "filter", "all: true"},
		{"cancel", `{"filter": {"labels": {}}}`, "filter", "is empty"},
		{"pause", `{"filter": {"name": "x"}, "all": true}`, "all", "beside a filter"},
		{"cancel", `{"filter": {"metadata": {"a": 1}}}`, "filter.metadata", "namePrefix"},
		{"cancel", `{"filter": {"status": ["settled"]}}`, "filter.status[0]", "scheduled paused"},
		{"resume", `{"filter": {"status": ["scheduled"]}}`, "filter.status[0]", "paused"},
		{"resume", `{"all": true, "policy": "maybe"}`, "policy", "shift"},
		{"cancel", `{"filter": {"name": "x", "namePrefix": "x"}}`, "filter.namePrefix", "one of them"},
		{"cancel", `{"filter": {"dueAfter": "2027-01-02T00:00:00Z", "dueBefore": "2027-01-01T00:00:00Z"}}`, "filter.dueBefore", "after dueAfter"},
		{"cancel", `{"filter": {"dueAfter": "soon"}}`, "filter.dueAfter", ""},
		{"cancel", `{"all": true, "limit": 100001}`, "limit", "100000"},
		{"cancel", `{"all": true, "limit": -1}`, "limit", "from 1"},
		{"cancel", `{"all": true, "cursor": "x"}`, "cursor", "nextCursor"},
		{"reschedule", `{"all": true}`, "", "exactly one"},
		{"reschedule", `{"all": true, "delay": "1h", "fireAt": "2027-01-01T00:00:00Z"}`, "", "exactly one"},
		{"reschedule", `{"all": true, "fireAt": "2020-01-01T00:00:00Z"}`, "fireAt", "past"},
		{"reschedule", `{"all": true, "delay": "0s"}`, "delay", "1ms"},
	} {
		p := b.call("POST", "/v1/timers/"+c.operation, c.body).is(422).problem()
		require.NotEmpty(t, p.Errors, c.body)
		assert.Equal(t, c.path, p.Errors[0].Path, c.body)
		assert.Contains(t, p.Errors[0].Message, c.says, c.body)
	}
	for query, says := range map[string]string{"metadata=x": "namePrefix", "name=a&namePrefix=a": "one of them"} {
		assert.Contains(t, b.call("GET", "/v1/timers?"+query, "").is(422).problem().Detail, says)
	}
	var p page[minoots.Timer]
	b.call("GET", "/v1/timers?status=scheduled", "").into(&p)
	assert.Len(t, p.Items, 1, "nothing was done")
}

func TestReplay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(`{"duration": "1h"}`).ID.String()
	path := "/v1/timers/" + id + "/replay"
	assert.Contains(t, b.call("POST", path, "").is(409).problem().Detail, "not over (scheduled)")
	_, err := b.pool.Exec(t.Context(), `UPDATE minoots.timer_states SET status = 'settled', due_at = NULL, fired_at = now(), settled_at = now(),
		occurrence = 1, version = 5`)
	require.NoError(t, err)
	for body, says := range map[string]string{
		`{"delay": "-1s"}`: "from 0", `{"fireAt": "2020-01-01T00:00:00Z"}`: "past", `{"delay": "1s", "fireAt": "2100-01-01T00:00:00Z"}`: "at most one",
	} {
		assert.Contains(t, b.call("POST", path, body).is(422).problem().Detail, says)
	}
	b.call("POST", path, "", "If-Match", `"4"`).is(412)
	b.hints.take()
	var timer minoots.Timer
	b.call("POST", path, "", "If-Match", `"5"`).is(http.StatusOK).into(&timer)
	assert.Equal(t, minoots.StatusScheduled, timer.Status)
	assert.Nil(t, timer.SettledAt)
	assert.Len(t, b.hints.take(), 1)
	b.call("POST", "/v1/timers/"+id+"/cancel", "").is(http.StatusOK)
	p := b.call("POST", path, "").is(409).problem()
	assert.Contains(t, p.Detail+p.Hint, "create a new timer")
	b.call("POST", path, "", "X-Api-Key", b.other).is(404)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var last minoots.ID
	for range 3 {
		last = b.create(`{"duration": "30m"}`).ID
	}
	b.create(`{"duration": "2h"}`)
	b.call("POST", "/v1/timers/"+last.String()+"/cancel", "").is(http.StatusOK)
	var u struct {
		TenantID    string
		Timers      map[string]struct{ Count int }
		DueNextHour struct {
			Count   int
			AtLeast bool
		}
		APIKeys int
		Limits  map[string]int64
	}
	b.call("GET", "/v1/usage", "").is(http.StatusOK).into(&u)
	assert.Equal(t, 3, u.Timers["scheduled"].Count)
	assert.Equal(t, 1, u.Timers["cancelled"].Count)
	assert.Equal(t, 2, u.DueNextHour.Count)
	assert.False(t, u.DueNextHour.AtLeast)
	assert.Equal(t, 2, u.APIKeys)
	assert.EqualValues(t, minoots.MaxBatchTimers, u.Limits["batchTimers"])
	b.call("GET", "/v1/usage", "", "X-Api-Key", b.other).is(http.StatusOK).into(&u)
	assert.Equal(t, "globex", u.TenantID)
}

func TestBatchKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	type made struct {
		Timers   []minoots.Timer
		Replayed int
	}
	var first, second made
	b.call("POST", "/v1/timers/batch", `{"timers": [{"duration": "1h"}, {"duration": "2h"}], "idempotencyKeys": ["a", "b"]}`).is(201).into(&first)
	b.call("POST", "/v1/timers/batch", `{"timers": [{"duration": "2h"}, {"duration": "3h"}], "idempotencyKeys": ["b", "c"]}`).is(201).into(&second)
	assert.Equal(t, 1, second.Replayed)
	assert.Equal(t, first.Timers[1].ID, second.Timers[0].ID)
	assert.Equal(t, 3, b.count("timers"))
	for body, path := range map[string]string{
		`{"timers": [{"duration": "1h"}], "idempotencyKeys": ["a", "b"]}`:                       "idempotencyKeys",
		`{"timers": [{"duration": "1h"}, {"duration": "1h"}], "idempotencyKeys": ["x", "x"]}`:   "idempotencyKeys[1]",
		`{"timers": [{"duration": "1h"}, {"duration": "1h"}], "idempotencyKeys": ["x", "y z"]}`: "idempotencyKeys[1]",
	} {
		assert.Equal(t, path, b.call("POST", "/v1/timers/batch", body).is(422).problem().Errors[0].Path)
	}
	p := b.call("POST", "/v1/timers/batch", `{"timers": [{"duration": "5h"}, {"duration": "6h"}], "idempotencyKeys": ["new", "a"]}`).is(409).problem()
	assert.Equal(t, "idempotencyKeys[1]", p.Errors[0].Path)
	assert.Equal(t, 3, b.count("timers"), "nothing half done")
}
