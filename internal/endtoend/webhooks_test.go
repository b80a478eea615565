package endtoend_test

import (
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// delivered is what the tables say of the webhooks of one webhook-id.
type delivered struct {
	due      time.Time
	answers  map[int]int // by HTTP status
	attempts int
	lost     int // of which a killed replica took the outcome with it
}

// assertWebhooks holds the webhooks that came to the attempts in the tables. An
// attempt whose replica was killed may have been heard or not; any other was heard
// once, with the answer that stands there.
func (w *world) assertWebhooks() {
	w.Helper()
	rows, err := w.database.Pool.Query(w.Context(), `
SELECT f.timer_id || '_' || f.occurrence || '_' || a.action_id, f.due_at, coalesce(a.http_status, 0), coalesce(a.error_class, '')
FROM minoots.attempts a JOIN minoots.firings f USING (timer_id, occurrence)`)
	require.NoError(w, err)
	defer rows.Close()
	all := map[string]*delivered{}
	for rows.Next() {
		var id, class string
		var due time.Time
		var status int
		require.NoError(w, rows.Scan(&id, &due, &status, &class))
		if all[id] == nil {
			all[id] = &delivered{due: due, answers: map[int]int{}}
		}
		d := all[id]
		d.attempts++
		if class == "lost" {
			d.lost++
			continue
		}
		d.answers[status]++
		assert.Contains(w, []string{"", "http_status"}, class, "%s: no attempt failed otherwise", id)
	}
	require.NoError(w, rows.Err())

	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	for id := range w.receiver.receipts {
		assert.Contains(w, all, id, "a webhook of which no row knows")
	}
	for id, d := range all {
		receipts := w.receiver.receipts[id]
		heard := map[int]int{}
		for _, r := range receipts {
			heard[r.status]++
			assert.False(w, r.at.Before(d.due), "%s came %s early", id, d.due.Sub(r.at))
		}
		for status, n := range d.answers {
			assert.GreaterOrEqual(w, heard[status], n, "%s: webhooks answered with %d", id, status)
		}
		assert.GreaterOrEqual(w, len(receipts), d.attempts-d.lost, "%s: webhooks", id)
		assert.LessOrEqual(w, len(receipts), d.attempts, "%s: webhooks", id)
	}
}
