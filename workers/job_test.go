package workers_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/workers"
	"github.com/minoots/minoots/workers/action"
)

func TestJobOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// What each action does is its id.
	a := &actor{do: func(_ context.Context, d minoots.Delivery, attempt int) minoots.Outcome {
		switch d.Action.ID {
		case "never":
			out := failed("http_status", true)
			out.HTTPStatus, out.Response = 503, []byte("busy")
			return out
		case "final":
			return failed("redirect", false)
		case "second", "panic":
			if attempt == 1 && d.Action.ID == "panic" {
				panic("a bug, and a secret")
			}
			if attempt == 1 {
				return failed("timeout", true)
			}
		}
		return succeeded()
	}}
	ids := w.fire(bundle(1, "ok"), bundle(1, "second"), bundle(1, "never"), bundle(1, "final"), bundle(1, "panic"))
	k := w.start(workers.Config{Actions: a, Replica: "replica-1"})
	w.eventuallyOver(len(ids))
	k.stop()
	w.requireConsistent()

	for i, want := range []struct {
		status   minoots.Status
		attempts []minoots.AttemptStatus
		class    string // of the first attempt
	}{
		{minoots.StatusSettled, []minoots.AttemptStatus{"succeeded"}, ""},
		{minoots.StatusSettled, []minoots.AttemptStatus{"retrying", "succeeded"}, "timeout"},
		{minoots.StatusFailed, []minoots.AttemptStatus{"retrying", "retrying", "failed"}, "http_status"},
		{minoots.StatusFailed, []minoots.AttemptStatus{"failed"}, "redirect"},
		{minoots.StatusSettled, []minoots.AttemptStatus{"retrying", "succeeded"}, "panic"},
	} {
		timer, err := w.api.TimerGet(t.Context(), tenant, ids[i])
		require.NoError(t, err)
		assert.Equal(t, want.status, timer.Status, "timer %d", i)
		firing, err := w.api.FiringGet(t.Context(), tenant, ids[i], 1)
		require.NoError(t, err)
		var got []minoots.AttemptStatus
		for n, attempt := range firing.Attempts {
			got = append(got, attempt.Status)
			assert.Equal(t, n+1, attempt.Attempt)
			assert.Equal(t, "replica-1", attempt.Replica)
		}
		assert.Equal(t, want.attempts, got, "timer %d", i)
		if want.class != "" {
			assert.Equal(t, want.class, *firing.Attempts[0].ErrorClass)
		}
		if want.status == minoots.StatusFailed {
			assert.Equal(t, firing.Attempts[0].ActionID+": it said no", *timer.FailureReason)
		} else {
			assert.Nil(t, timer.FailureReason)
		}
	}
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"), "jobs that are done are gone")
	never, err := w.api.FiringGet(t.Context(), tenant, ids[2], 1)
	require.NoError(t, err)
	assert.Equal(t, 503, *never.Attempts[2].HTTPStatus)
	assert.Equal(t, "busy", *never.Attempts[2].Response)
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.attempts WHERE error LIKE '%secret%'"), "what a panic says is for the log")
	assert.Equal(t, 9.0, k.counter(t, "minoots_attempts_total"))
	assert.Zero(t, k.counter(t, "minoots_outcomes_superseded_total"))
}

func TestJobRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const asked = 1500 * time.Millisecond
	a := &actor{do: func(_ context.Context, d minoots.Delivery, attempt int) minoots.Outcome {
		if attempt > 1 {
			return succeeded()
		}
		out := failed("http_status", true)
		if d.Action.ID == "asks" {
			out.RetryAfter = asked
		}
		return out
	}}
	ids := w.fire(bundle(1, "asks"), bundle(1, "does not"))
	w.start(workers.Config{Actions: a})
	w.eventuallyOver(2)
	waited := func(id minoots.ID) time.Duration {
		f, err := w.api.FiringGet(t.Context(), tenant, id, 1)
		require.NoError(t, err)
		require.Len(t, f.Attempts, 2)
		return f.Attempts[1].StartedAt.Sub(f.Attempts[0].FinishedAt.Time)
	}
	assert.GreaterOrEqual(t, waited(ids[0]), asked)
	assert.Less(t, waited(ids[1]), asked)
}

// A job may be of a kind that only a newer version can perform.
func TestJobUnknownKindWaitsForAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := bundle(1, "a")
	b.Actions[0].Kind = minoots.KindWorkflowEvent
	ids := w.fire(b)
	w.exec("UPDATE river.river_job SET queue = 'webhook'") // in a queue that is served
	old := w.start(workers.Config{Actions: action.NewRegistry(action.Config{})})
	w.eventually(1, "SELECT count(*) FROM minoots.attempts WHERE status = 'retrying' AND error_class = $1", action.ClassUnavailable)
	old.stop()
	w.start(workers.Config{Actions: &actor{}})
	w.eventuallyOver(1)
	timer, err := w.api.TimerGet(t.Context(), tenant, ids[0])
	require.NoError(t, err)
	assert.Equal(t, minoots.StatusSettled, timer.Status)
}

// River reckons with the database's time, wherever this machine's clock stands.
func TestJobRetryTimeIsTheDatabases(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			database := w.connect(w.URL, 10)
			now := time.Now()
			database.Clock().Observe(now, now, now.Add(off)) // as if this machine were wrong by that
			hold := make(chan struct{})
			a := &actor{do: func(_ context.Context, _ minoots.Delivery, attempt int) minoots.Outcome {
				if attempt > 1 {
					<-hold
					return succeeded()
				}
				return failed("timeout", true)
			}}
			b := bundle(1, "a")
			b.RetryPolicy = &minoots.RetryPolicy{MaxAttempts: 5, BackoffInitialMs: 60_000, BackoffMultiplier: 2, BackoffMaxMs: 60_000}
			w.fire(b)
			log := &memory{}
			k := w.start(workers.Config{Actions: a, DB: database, Log: slog.New(slog.NewTextHandler(log, nil)), Grace: time.Second})
			w.eventually(1, "SELECT count(*) FROM river.river_job WHERE errors IS NOT NULL")
			var due time.Time
			require.NoError(t, w.Pool.QueryRow(t.Context(), "SELECT scheduled_at FROM river.river_job").Scan(&due))
			assert.WithinRange(t, due, now.Add(off), now.Add(off+90*time.Second))
			close(hold)
			k.stop()
			assert.NotContains(t, log.String(), "invalid next retry")
		})
	}
}

// memory is a log to look at.
type memory struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (m *memory) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b.Write(p)
}

func (m *memory) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b.String()
}
