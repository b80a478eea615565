package db_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func TestSubscriptionLaneIsTheSame(t *testing.T) {
	t.Parallel()
	database, _ := setup(t)
	for range 20 {
		id := minoots.NewID()
		var lane string
		require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT minoots.subscription_lane($1)", id).Scan(&lane))
		assert.Equal(t, lane, db.SubscriptionLane(id))
	}
}

// A pause and a lane find a subscription's jobs by the index that was made for them,
// among those of many others.
func TestPlansOfSubscriptions(t *testing.T) {
	t.Parallel()
	database, _ := setup(t)
	p := &plans{conn: direct(t, database.URL), sql: statements(t), big: []string{"river_job"}}
	_, err := p.conn.Exec(t.Context(), `
		INSERT INTO river.river_job (kind, args, max_attempts, queue, state)
		SELECT 'subscription', jsonb_build_object('subscription', jsonb_build_object('id', '01900000-0000-7000-8000-' || lpad((i % 200)::text, 12, '0'),
			'deliveryId', gen_random_uuid())), 5, 'subscription', 'available'::river.river_job_state FROM generate_series(1, 20000) AS i
		UNION ALL
		SELECT 'action', '{}', 5, 'webhook', 'available'::river.river_job_state FROM generate_series(1, 20000)`)
	require.NoError(t, err)
	_, err = p.conn.Exec(t.Context(), "ANALYZE river.river_job")
	require.NoError(t, err)
	const id = "01900000-0000-7000-8000-000000000017"
	for noun, args := range map[string][]any{"delivery_hold": {id}, "subscription_apart": {id, 60.0}} {
		for _, mode := range []string{generic, custom} {
			plan := p.explain(t, noun, "", mode, args)
			p.check(t, noun+" "+mode, plan, "river_job_subscription")
		}
	}
}
