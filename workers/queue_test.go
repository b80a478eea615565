package workers

import (
	"log/slog"
	"testing"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// River polls each queue of its configuration once a second: one statement a
// second at rest, however many kinds there are.
func TestRiverPollsOneQueueAtRest(t *testing.T) {
	t.Parallel()
	cfg := Config{DB: &db.DB{}}.withDefaults()
	queues := riverConfig(cfg, river.NewWorkers(), slog.New(slog.DiscardHandler)).Queues
	require.Len(t, queues, 1)
	require.Equal(t, 200, queues["webhook"].MaxWorkers)
}

func TestSlotsOfKinds(t *testing.T) {
	t.Parallel()
	large, small := Config{Concurrency: 200}, Config{Concurrency: 3}
	for _, kind := range minoots.ActionKinds {
		require.Positive(t, large.slots(kind), kind)
		require.LessOrEqual(t, large.slots(kind), 200, kind)
		require.LessOrEqual(t, small.slots(kind), 3, kind)
		require.Equal(t, kind, kindOf(laneOf(kind, flowKey{"acme", "x"})))
		require.Equal(t, kind, kindOf(string(kind)))
		require.False(t, isLane(string(kind)))
		require.Equal(t, kind == minoots.KindWebhook, isOpen(string(kind)))
	}
}
