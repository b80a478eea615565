package endtoend_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// subscribe has all events of the tenant sent to a URL, by the first replica that
// answers. Whichever replica sends them: there is nothing to connect to again.
func (w *world) subscribe(c *callers) *reader {
	w.Helper()
	r := newReader("subscribed")
	r.anyOrder = true
	ids := map[string]string{} // webhook-ids, by event
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var e minoots.Event
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // its sender was killed: it comes again
		}
		if err := json.Unmarshal(body, &e); err != nil {
			r.fail(err)
			return
		}
		id := req.Header.Get("webhook-id")
		r.mu.Lock()
		first, repeat := ids[e.ID]
		ids[e.ID] = id
		r.mu.Unlock()
		if repeat && first != id {
			r.fail(fmt.Errorf("event %s came as %s and as %s", e.ID, first, id))
		}
		r.note(e)
	}))
	w.Cleanup(server.Close)
	_, err := c.rest.CreateSubscription(w.Context(), minoots.SubscriptionSpec{
		URL: server.URL, Topics: []string{"*"}, RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 5, BackoffInitialMs: 200},
	})
	require.NoError(w, err)
	r.open()
	return r
}

// inOrderOf is what a door told that promises neither an order nor no repeats, in
// the order of the log and each once. What repeats otherwise than the first time
// stays, and so does what is not in the log.
func inOrderOf(log, told []minoots.Event) []minoots.Event {
	place := map[string]int{}
	for i := range log {
		place[log[i].ID] = i + 1
	}
	sorted := slices.Clone(told)
	slices.SortStableFunc(sorted, func(a, b minoots.Event) int { return place[a.ID] - place[b.ID] })
	return slices.CompactFunc(sorted, func(a, b minoots.Event) bool { return a.ID == b.ID && envelope(&a) == envelope(&b) })
}

func TestInOrderOf(t *testing.T) {
	t.Parallel()
	a, b, c := minoots.Event{ID: "1"}, minoots.Event{ID: "2"}, minoots.Event{ID: "3"}
	log := []minoots.Event{a, b}
	assert.Empty(t, disagreements(log, inOrderOf(log, []minoots.Event{b, a, b})))
	changed := b
	changed.TenantID = "other"
	assert.NotEmpty(t, disagreements(log, inOrderOf(log, []minoots.Event{b, a, changed})))
	assert.NotEmpty(t, disagreements(log, inOrderOf(log, []minoots.Event{b, a, c})))
	assert.NotEmpty(t, disagreements(log, inOrderOf(log, []minoots.Event{b, b})))
}
