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
