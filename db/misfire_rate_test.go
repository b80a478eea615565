package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// The rate is of a replica that claims: two that have taken from a backlog have their
// timers come back twice as fast, once. From then on it is that of the one who claims
// what is re-armed.
func TestMisfireRateIsOfTheReplicaThatClaims(t *testing.T) {
	t.Parallel()
	database, first := setup(t)
	second := connect(t, database.URL)
	var all []db.NewTimer
	for range 100 {
		n := every(time.Minute, 0)
		n.Spec.Misfire = &minoots.Misfire{Policy: minoots.MisfireFireAll}
		all = append(all, n)
	}
	created, err := first.TimerCreate(t.Context(), all)
	require.NoError(t, err)
	now := created[0].Timer.FireAt.Add(30 * time.Minute)
	require.Len(t, claim(t, first, db.ClaimRequest{Limit: 50, Now: now}), 50)
	require.Len(t, claim(t, second, db.ClaimRequest{Limit: 50, Now: now}), 50)
	due := func(from, to time.Duration) int {
		return count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE due_at > $1 AND due_at <= $2", now.Add(from), now.Add(to))
	}
	assert.Equal(t, 42, due(0, 300*time.Millisecond), "each from 100 ms on, 10 ms apart")
	assert.Equal(t, 100, due(0, 590*time.Millisecond))
	assert.Len(t, drain(t, first, now.Add(590*time.Millisecond)), 100)
	assert.Equal(t, 51, due(590*time.Millisecond, 1190*time.Millisecond), "by one alone")
	assert.Equal(t, 100, due(590*time.Millisecond, 1680*time.Millisecond))
	audited(t, first)
}
