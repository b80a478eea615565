package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// slowReceiver holds each delivery until it is let go, or the client goes away.
type slowReceiver struct {
	*httptest.Server
	mu       sync.Mutex
	received map[string][]time.Time // by webhook-id
	cut      map[string]bool        // their client went away
	open     chan struct{}          // closed to let all go
}

func newSlowReceiver(t *testing.T) *slowReceiver {
	r := &slowReceiver{received: map[string][]time.Time{}, cut: map[string]bool{}, open: make(chan struct{})}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body) // the server notices a cut only after the body
		id := req.Header.Get("webhook-id")
		r.mu.Lock()
		r.received[id] = append(r.received[id], time.Now())
		r.mu.Unlock()
		select {
		case <-r.open:
		case <-req.Context().Done():
			r.mu.Lock()
			r.cut[id] = true
			r.mu.Unlock()
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// deliveries counts them, and the webhook-ids.
func (r *slowReceiver) deliveries() (all, ids int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, times := range r.received {
		all += len(times)
	}
	return all, len(r.received)
}

// cluster is some replicas in processes of their own: one with all roles, one
// with no API, and one that only works.
func cluster(t *testing.T) []*service {
	first := startService(t)
	return []*service{
		first, startProcess(t, first.database, first.key, "--roles=kernel,worker"),
		startProcess(t, first.database, first.key, "--roles=worker"),
	}
}

// deliver creates timers that are due at once, and waits until all are under way.
func (s *service) deliver(t *testing.T, r *slowReceiver, timers int) {
	t.Helper()
	now := minoots.Duration(time.Millisecond)
	for range timers {
		_, err := s.client.CreateTimer(t.Context(), minoots.TimerSpec{Duration: &now, ActionBundle: &minoots.Bundle{
			Actions: []minoots.Action{{ID: "a", Kind: minoots.KindWebhook,
				Parameters: json.RawMessage(`{"timeoutMs": 60000, "url":"` + r.URL + `"}`)}},
		}}, "")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { all, _ := r.deliveries(); return all == timers }, 20*time.Second, 5*time.Millisecond)
}

func (s *service) count(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, s.database.Pool.QueryRow(context.Background(), sql, args...).Scan(&n))
	return n
}

// busy counts the jobs that the process runs.
func (s *service) busy(t *testing.T) int {
	return s.count(t, `SELECT count(*) FROM river.river_job WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] LIKE $1`,
		fmt.Sprintf("%%-%d-%%", s.process.Process.Pid))
}

// busiest is the one that runs the most, and how much that is.
func busiest(t *testing.T, all []*service) (found *service, jobs int) {
	t.Helper()
	for _, s := range all {
		if n := s.busy(t); n > jobs {
			found, jobs = s, n
		}
	}
	require.Positive(t, jobs)
	return found, jobs
}

const settled = "SELECT count(*) FROM minoots.timer_states WHERE status = 'settled'"

// kill -9: what was under way there, and nothing else, is delivered again within
// two seconds, under the same webhook-id.
func TestKilledReplica(t *testing.T) {
	t.Parallel()
	all := cluster(t)
	r := newSlowReceiver(t)
	const timers = 40
	all[0].deliver(t, r, timers)
	victim, inFlight := busiest(t, all)
	require.NoError(t, victim.process.Process.Signal(syscall.SIGKILL))
	killed := time.Now()
	require.Eventually(t, func() bool { n, _ := r.deliveries(); return n == timers+inFlight }, 20*time.Second, 5*time.Millisecond)
	took := time.Since(killed)
	t.Logf("%d deliveries repeated within %s", inFlight, took)
	assert.Less(t, took, 2*time.Second)
	close(r.open)
	require.Eventually(t, func() bool { return all[0].count(t, settled) == timers }, 20*time.Second, 5*time.Millisecond)
	n, ids := r.deliveries()
	assert.Equal(t, timers+inFlight, n, "nothing else is repeated")
	assert.Equal(t, timers, ids)
	for id, times := range r.received {
		assert.Equal(t, r.cut[id], len(times) == 2, "%s came %d times", id, len(times))
	}
	assert.Equal(t, inFlight, all[0].count(t, "SELECT count(*) FROM minoots.attempts WHERE error_class = 'lost'"))
}

// A replica that is stopped keeps its connections, and comes to itself when all
// is over. What it does then changes nothing, and it works on under a new name.
func TestStoppedReplica(t *testing.T) {
	t.Parallel()
	all := cluster(t)
	r := newSlowReceiver(t)
	const timers = 30
	all[0].deliver(t, r, timers)
	zombie, inFlight := busiest(t, all)
	require.NoError(t, zombie.process.Process.Signal(syscall.SIGSTOP))
	stopped := time.Now()
	require.Eventually(t, func() bool { n, _ := r.deliveries(); return n == timers+inFlight }, 30*time.Second, 10*time.Millisecond)
	t.Logf("%d deliveries repeated within %s", inFlight, time.Since(stopped))
	close(r.open) // the zombie's are answered too
	require.Eventually(t, func() bool { return all[0].count(t, settled) == timers }, 20*time.Second, 5*time.Millisecond)
	const history = `SELECT count(*) + hashtext(string_agg(x, '' ORDER BY x)) FROM (
		SELECT s::text AS x FROM minoots.timer_states s UNION ALL SELECT a::text FROM minoots.attempts a UNION ALL
		SELECT e::text FROM minoots.events e UNION ALL SELECT f::text FROM minoots.firings f) y`
	before := zombie.count(t, history)
	require.NoError(t, zombie.process.Process.Signal(syscall.SIGCONT))
	pid := fmt.Sprintf("%%-%d-%%-2", zombie.process.Process.Pid)
	require.Eventually(t, func() bool {
		return zombie.count(t, "SELECT count(*) FROM minoots.replicas WHERE replica LIKE $1 AND lost_at IS NULL", pid) == 1
	}, 20*time.Second, 10*time.Millisecond, "it registers anew")
	require.NoError(t, zombie.process.Process.Signal(syscall.SIGTERM))
	require.Equal(t, exitDone, zombie.wait(), "all that it had to say is said")
	n, _ := r.deliveries()
	assert.Equal(t, timers+inFlight, n, "it delivers nothing more")
	assert.Equal(t, before, zombie.count(t, history))
}
