package workers_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

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

func TestEnqueueWritesOneJobEach(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 99, 100, 700} { // from 100 on by COPY
		w := newWorld(t)
		all := make([]minoots.Delivery, n)
		for i := range all {
			all[i] = delivery(minoots.ActionKinds[i%2])
		}
		require.NoError(t, w.api.InTx(t.Context(), func(tx db.Tx) error { return w.enqueuer.Enqueue(t.Context(), tx, all) }))
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

func TestEnqueueBelongsToTheTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listener, err := pgx.Connect(t.Context(), w.URL)
	require.NoError(t, err)
	defer func() { _ = listener.Close(t.Context()) }()
	_, err = listener.Exec(t.Context(), `LISTEN "river.river_insert"`)
	require.NoError(t, err)

	err = w.api.InTx(t.Context(), func(tx db.Tx) error {
		require.NoError(t, w.enqueuer.Enqueue(t.Context(), tx, []minoots.Delivery{delivery("webhook")}))
		return &minoots.Error{Code: minoots.CodeConflict}
	})
	require.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"))

	// The next transaction notifies, though the one before has spent River's own token.
	for range 3 {
		require.NoError(t, w.api.InTx(t.Context(), func(tx db.Tx) error {
			return w.enqueuer.Enqueue(t.Context(), tx, []minoots.Delivery{delivery("webhook"), delivery("webhook"), delivery("command")})
		}))
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
