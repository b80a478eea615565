package workers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers"
)

// insert makes jobs of deliveries, in the fire transaction of some timer.
func (w *world) insert(p *workers.Planner, all ...minoots.Delivery) error {
	w.Helper()
	now := minoots.InstantOf(w.api.Clock().Now().Add(-time.Second))
	_, err := w.api.TimerCreate(w.Context(), []db.NewTimer{{ID: minoots.NewID(), TenantID: tenant, Spec: minoots.TimerSpec{FireAt: &now}}})
	require.NoError(w, err)
	_, err = w.api.TimerClaim(w.Context(), db.ClaimRequest{Limit: 1}, func(ctx context.Context, _ db.Tx, _ []db.Fired) (*db.JobBatch, error) {
		return p.Plan(ctx, all)
	})
	return err
}

// delivery is one with every field set.
func delivery(kind minoots.ActionKind) minoots.Delivery {
	at := minoots.Instant{Time: time.Date(2026, 11, 23, 9, 0, 0, 123456000, time.UTC)}
	return minoots.Delivery{
		TenantID: tenant, Occurrence: 3, DueAt: at, FiredAt: at, Alone: true, Recurring: true, Generation: 2,
		Timer: minoots.DeliveryTimer{
			ID: minoots.NewID(), Name: "n", RequestedBy: "r", Labels: map[string]string{"k": "v"}, Metadata: []byte(`{"a":1.50}`),
		},
		Action:       minoots.Action{ID: "a", Kind: kind, Parameters: []byte(`{"url":"x"}`)},
		Policy:       minoots.RetryPolicy{MaxAttempts: 7, BackoffInitialMs: 5, BackoffMultiplier: 3, BackoffMaxMs: 50},
		AgentBinding: &minoots.AgentBinding{Adapter: "mcp", Target: "t"},
	}
}

func TestPlanWritesOneJobEach(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 99, 700} {
		w := newWorld(t)
		all := make([]minoots.Delivery, n)
		for i := range all {
			all[i] = delivery(minoots.ActionKinds[i%2])
			all[i].Timer.Name = fmt.Sprint(i) // which is the destination here: no crowd
		}
		require.NoError(t, w.insert(w.queues, all...))
		require.Equal(t, n, w.count("SELECT count(*) FROM river.river_job WHERE state = 'available' AND kind = 'action' AND queue = args->'action'->>'kind' AND max_attempts = 7"))
		require.Equal(t, n, w.count("SELECT count(DISTINCT args->'timer'->>'id') FROM river.river_job"))
		if n != 1 {
			continue
		}
		var args []byte
		require.NoError(t, w.Pool.QueryRow(t.Context(), "SELECT args FROM river.river_job").Scan(&args))
		var back minoots.Delivery
		require.NoError(t, json.Unmarshal(args, &back))
		assert.Equal(t, all[0].WebhookID(), back.WebhookID())
		want, err := json.Marshal(all[0])
		require.NoError(t, err)
		got, err := json.Marshal(back)
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(got), "nothing is lost on the way")
		assert.Contains(t, string(args), "1.50", "a number is kept as it was written")
	}
}

func TestPlanBelongsToTheTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listener, err := pgx.Connect(t.Context(), w.URL)
	require.NoError(t, err)
	defer func() { _ = listener.Close(t.Context()) }()
	_, err = listener.Exec(t.Context(), `LISTEN "river.river_insert"`)
	require.NoError(t, err)

	unstorable := delivery("webhook")
	unstorable.Timer.Metadata = []byte(`{"x": 1e-200000}`) // jsonb has no room for it
	require.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(w.insert(w.queues, delivery("webhook"), unstorable)))
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"))

	for range 3 {
		require.NoError(t, w.insert(w.queues, delivery("webhook"), delivery("webhook"), delivery("command")))
		queues := map[string]int{}
		for range 2 {
			n, err := listener.WaitForNotification(t.Context())
			require.NoError(t, err)
			var payload struct{ Queue string }
			require.NoError(t, json.Unmarshal([]byte(n.Payload), &payload))
			queues[payload.Queue]++
		}
		assert.Equal(t, map[string]int{"webhook": 1, "command": 1}, queues)
	}
}
