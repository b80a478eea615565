package kernel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/kernel"
)

// once is a policy without a second attempt.
func once(*minoots.Delivery, int, *minoots.Outcome) (bool, time.Duration) { return true, 0 }

// await has the worker send what it runs, to agents who are to acknowledge it.
func (w *world) await(p *worker, timeout time.Duration) {
	w.Helper()
	rows, err := w.Pool.Query(w.Context(), "SELECT id, args FROM river.river_job WHERE state = 'running'")
	require.NoError(w, err)
	jobs := map[int64]*minoots.Delivery{}
	for rows.Next() {
		var id int64
		d := &minoots.Delivery{}
		require.NoError(w, rows.Scan(&id, d))
		jobs[id] = d
	}
	require.NoError(w, rows.Err())
	for id, d := range jobs {
		token := minoots.NewAcknowledgementToken()
		_, err := w.api.AcknowledgementOpen(w.Context(), db.AcknowledgementOpen{
			Token: token, JobID: id, Attempt: 1, Delivery: d, Replica: p.name, Timeout: timeout,
		})
		require.NoError(w, err)
		parked, err := w.api.AcknowledgementPark(w.Context(), d.TenantID, token, &minoots.Outcome{Success: true, HTTPStatus: 202})
		require.NoError(w, err)
		require.True(w, parked)
	}
}

// What no agent acknowledges in time is failed within a look or two of its time,
// once, however many kernels look; and not before its time, though the process
// that sent it is dead.
func TestExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 20
	p := w.register(w.URL)
	w.hand(p, timers, 1)
	const timeout = 3 * time.Second
	w.await(p, timeout)
	w.kill(p)
	for range 2 {
		w.start(kernel.Config{ListenURL: w.URL, Judge: once})
	}
	w.start(kernel.Config{ListenURL: w.URL}) // without: it leaves them alone
	require.Eventually(t, func() bool {
		return w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'failed'") == timers
	}, 30*time.Second, 10*time.Millisecond)
	assert.Equal(t, timers, w.count("SELECT count(*) FROM minoots.attempts WHERE status = 'failed' AND error_class = 'ack_timeout'"))
	assert.Equal(t, timers, w.count("SELECT count(*) FROM minoots.attempts"), "each once")
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.attempts WHERE finished_at - started_at < $1", timeout), "none before its time")
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"))
}
