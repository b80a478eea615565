package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/api"
)

type page[T any] struct {
	Items      []T
	NextCursor *string
}

// names lists the timers of a query by name.
func (b *bundle) names(query string) []string {
	b.t.Helper()
	var p page[minoots.Timer]
	b.call("GET", "/v1/timers?"+query, "").is(http.StatusOK).into(&p)
	names := make([]string, len(p.Items))
	for i, timer := range p.Items {
		names[i] = timer.Name
	}
	return names
}

func TestListTimersFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	base := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	at := func(minutes int) string { return base.Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339) }
	for i, extra := range []string{
		`"labels": {"a": "1", "b": "x:y"}`, `"labels": {"a": "1"}, "requestedBy": "me"`, `"labels": {"a": "2"}`,
	} {
		b.create(fmt.Sprintf(`{"name": "t%d", "fireAt": %q, %s}`, i, at(i), extra))
	}
	id := b.create(fmt.Sprintf(`{"name": "t3", "fireAt": %q}`, at(3))).ID
	b.call("POST", "/v1/timers/"+id.String()+"/cancel", "").is(http.StatusOK)
	b.create(`{"name": "foreign", "duration": "1m"}`, "X-Api-Key", b.other)

	for query, want := range map[string][]string{
		"":                                   {"t0", "t1", "t2", "t3"},
		"status=scheduled":                   {"t0", "t1", "t2"},
		"status=cancelled,scheduled":         {"t0", "t1", "t2", "t3"},
		"status=cancelled&status=scheduled":  {"t0", "t1", "t2", "t3"},
		"status=armed":                       {},
		"label=a:1":                          {"t0", "t1"},
		"label=a:1&label=b:x:y":              {"t0"},
		"label=b:" + url.QueryEscape("x y"):  {},
		"name=t2":                            {"t2"},
		"requestedBy=me":                     {"t1"},
		"dueAfter=" + at(1):                  {"t1", "t2", "t3"},
		"dueBefore=" + at(1):                 {"t0"},
		"dueAfter=" + at(1) + "&limit=1":     {"t1"},
		"status=scheduled&label=a:2&limit=5": {"t2"},
	} {
		assert.Equal(t, want, b.names(query), query)
	}
}

// TestListTimersPages walks the list while timers come and go around the cursor:
// whatever was there from beginning to end is seen exactly once.
func TestListTimersPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := time.Now().Add(time.Hour).UTC()
	var stay []minoots.ID
	for range 25 { // all due at one instant, so that the id decides
		stay = append(stay, b.create(fmt.Sprintf(`{"fireAt": %q}`, at.Format(time.RFC3339Nano))).ID)
	}
	var seen []minoots.ID
	query := "limit=4"
	for {
		var p page[minoots.Timer]
		b.call("GET", "/v1/timers?"+query, "").is(http.StatusOK).into(&p)
		require.LessOrEqual(t, len(p.Items), 4)
		for _, timer := range p.Items {
			seen = append(seen, timer.ID)
		}
		b.create(`{"duration": "1m"}`)                                                          // before the cursor
		late := b.create(fmt.Sprintf(`{"fireAt": %q}`, at.Add(time.Hour).Format(time.RFC3339))) // after it
		b.call("POST", "/v1/timers/"+late.ID.String()+"/cancel", "").is(http.StatusOK)
		if p.NextCursor == nil || len(seen) > 60 {
			break
		}
		query = "limit=4&cursor=" + *p.NextCursor
	}
	sorted := slices.Clone(seen)
	slices.SortFunc(sorted, func(a, b minoots.ID) int { return slices.Compare(a[:], b[:]) })
	assert.Len(t, slices.Compact(sorted), len(seen), "nothing twice")
	for _, id := range stay {
		assert.Contains(t, seen, id)
	}
}

// A cursor goes on where its page ended, in the list that it is of: with other filters
// it would begin somewhere in the middle of another.
func TestCursorsKeepTheirFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var made minoots.Timer
	for range 3 {
		made = b.create(`{"duration": "1h", "name": "a", "labels": {"x": "1", "y": "2"}}`)
	}
	next := func(query string) string {
		var p page[minoots.Timer]
		b.call("GET", "/v1/timers?"+query, "").is(http.StatusOK).into(&p)
		require.NotNil(t, p.NextCursor, query)
		return *p.NextCursor
	}
	of := next("limit=1&status=scheduled,paused&label=x:1&label=y:2")
	var p page[minoots.Timer]
	b.call("GET", "/v1/timers?label=y:2&label=x:1&status=paused&status=scheduled&cursor="+of, "").is(http.StatusOK).into(&p)
	assert.Len(t, p.Items, 2, "in another order they are the same, and the limit is no filter")
	for _, query := range []string{
		"", "&status=scheduled", "&status=scheduled,paused&label=x:1", "&status=scheduled,paused&label=x:1&label=y:2&name=a",
		"&status=scheduled,paused&label=x:1&label=y:2&dueAfter=2026-01-01T00:00:00Z",
	} {
		bad := b.call("GET", "/v1/timers?cursor="+of+query, "").is(http.StatusUnprocessableEntity).problem()
		assert.Equal(t, "cursor", bad.Errors[0].Path)
		assert.Contains(t, bad.Errors[0].Message, "other filters", query)
	}
	b.call("GET", "/v1/timers?name=a&cursor="+next("limit=1"), "").is(http.StatusUnprocessableEntity)
	b.call("GET", "/v1/timers?name=a&cursor="+api.OldCursor(made), "").is(http.StatusOK).into(&p)
	assert.Empty(t, p.Items, "one from before cursors knew their filters goes on after the timer that it names")

	var bulk struct{ NextCursor string }
	b.call("POST", "/v1/timers/pause", `{"filter":{"name":"a"},"limit":1}`).is(http.StatusOK).into(&bulk)
	for body, says := range map[string]string{`"filter":{"name":"b"}`: "other filters", `"all":true`: "other filters"} {
		bad := b.call("POST", "/v1/timers/pause", `{`+body+`,"cursor":"`+bulk.NextCursor+`"}`).is(http.StatusUnprocessableEntity).problem()
		assert.Contains(t, bad.Errors[0].Message, says, body)
	}
	b.call("POST", "/v1/timers/pause", `{"filter":{"name":"a"},"cursor":"`+bulk.NextCursor+`"}`).is(http.StatusOK).into(&bulk)

	for _, list := range []string{"/v1/dead-letters?kind=webhook", "/v1/dead-letters?status=resolved"} {
		bad := b.call("GET", list+"&cursor="+of, "").is(http.StatusUnprocessableEntity).problem()
		assert.Contains(t, bad.Errors[0].Message, "of this list", list)
	}
}

// A filter without a value is most likely a variable without one. As no filter it
// would find everything.
func TestEmptyFiltersAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(`{"duration": "1h"}`)
	for _, name := range []string{"requestedBy", "name", "namePrefix", "status", "label", "dueAfter", "dueBefore", "limit"} {
		bad := b.call("GET", "/v1/timers?"+name+"=", "").is(http.StatusUnprocessableEntity).problem()
		assert.Equal(t, name, bad.Errors[0].Path)
		assert.Contains(t, bad.Errors[0].Message, "is empty")
	}
	b.call("GET", "/v1/timers?cursor=", "").is(http.StatusOK)
	for _, filter := range []string{`{"requestedBy":""}`, `{"name":"","labels":{"a":"b"}}`, `{"namePrefix":""}`, `{"status":[]}`} {
		for _, also := range []string{``, `,"all":true`} {
			bad := b.call("POST", "/v1/timers/cancel", `{"filter":`+filter+also+`}`).is(http.StatusUnprocessableEntity).problem()
			assert.Contains(t, fmt.Sprint(bad.Errors), "leave it out", filter+also)
		}
	}
	backwards := "dueAfter=2027-01-02T00:00:00Z&dueBefore=2027-01-01T00:00:00Z"
	assert.Contains(t, b.call("GET", "/v1/timers?"+backwards, "").is(http.StatusUnprocessableEntity).problem().Detail, "must be after dueAfter")
	assert.Zero(t, b.count("events WHERE type = 'timer.cancelled'"))
}

func TestListFirings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	timer := b.create(`{"duration": "1h"}`)
	path := "/v1/timers/" + timer.ID.String() + "/firings"
	var p page[minoots.Firing]
	b.call("GET", path, "").is(http.StatusOK).into(&p)
	assert.NotNil(t, p.Items)
	assert.Empty(t, p.Items)

	for i := 1; i <= 3; i++ {
		_, err := b.pool.Exec(t.Context(), `
			WITH f AS (INSERT INTO minoots.firings (timer_id, due_at, fired_at, occurrence, actions, started, tenant_id, status)
				VALUES ($1, now(), now() + interval '2 milliseconds', $2, 1, 1, 'acme', 'settled'))
			INSERT INTO minoots.attempts (timer_id, started_at, finished_at, occurrence, attempt, tenant_id, action_id, kind, status, replica)
			VALUES ($1, now(), now(), $2, 1, 'acme', 'wake', 'webhook', 'succeeded', 'r1')`, timer.ID, i)
		require.NoError(t, err)
	}
	b.call("GET", path+"?limit=2", "").is(http.StatusOK).into(&p)
	require.Len(t, p.Items, 2)
	assert.InDelta(t, 2, p.Items[0].LatenessMs, 0.001)
	b.call("GET", path+"?limit=2&cursor="+*p.NextCursor, "").is(http.StatusOK).into(&p)
	require.Len(t, p.Items, 1)
	assert.Equal(t, 3, p.Items[0].Occurrence)
	assert.Nil(t, p.NextCursor)

	var f minoots.Firing
	b.call("GET", path+"/2", "").is(http.StatusOK).into(&f)
	assert.Equal(t, 2, f.Occurrence)
	assert.Equal(t, "wake", f.Attempts[0].ActionID)
	b.call("GET", path+"/4", "").is(http.StatusNotFound).problem()
	b.call("GET", path+"/2", "", "X-Api-Key", b.other).is(http.StatusNotFound).problem()
	b.call("GET", path, "", "X-Api-Key", b.other).is(http.StatusNotFound).problem()
}
