package workers_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/workers"
)

var sixActions = []string{"a", "b", "c", "d", "e", "f"}

// aLittle makes attempts overlap where they may.
func aLittle(context.Context, minoots.Delivery, int) minoots.Outcome {
	<-time.After(10 * time.Millisecond)
	return succeeded()
}

func actions(made []attempt) (ids []string) {
	for _, m := range made {
		ids = append(ids, m.action)
	}
	return ids
}

func TestBundleInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &actor{do: aLittle}
	w.fire(bundle(1, sixActions...))
	k := w.start(workers.Config{Actions: a})
	w.eventuallyOver(1)
	k.stop()
	assert.Equal(t, sixActions, actions(a.attempts()))
	assert.Equal(t, 1, a.together())
	w.requireConsistent()
	assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.firings WHERE actions = 6 AND ended = 6 AND failed = 0 AND started >= 6"))
}

func TestBundleInAWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := append(append([]string{}, sixActions...), "g", "h", "i", "j", "k", "l")
	a := &actor{do: aLittle}
	w.fire(bundle(3, all...))
	k := w.start(workers.Config{Actions: a})
	w.eventuallyOver(1)
	k.stop()
	assert.ElementsMatch(t, all, actions(a.attempts()), "each once")
	assert.LessOrEqual(t, a.together(), 3)
	assert.Greater(t, a.together(), 1, "side by side")
	w.requireConsistent()
}

// An action that waits for its retry keeps those behind it waiting; one that has
// failed for good does not.
func TestBundleGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &actor{do: func(_ context.Context, d minoots.Delivery, attempt int) minoots.Outcome {
		if d.Action.ID == "b" || d.Action.ID == "d" && attempt == 1 {
			return failed("http_status", d.Action.ID == "d")
		}
		return succeeded()
	}}
	ids := w.fire(bundle(1, sixActions...))
	k := w.start(workers.Config{Actions: a})
	w.eventuallyOver(1)
	k.stop()
	assert.Equal(t, []string{"a", "b", "c", "d", "d", "e", "f"}, actions(a.attempts()))
	w.requireConsistent()
	timer, err := w.api.TimerGet(t.Context(), tenant, ids[0])
	require.NoError(t, err)
	assert.Equal(t, minoots.StatusFailed, timer.Status)
	assert.Equal(t, "b: it said no", *timer.FailureReason)
}

// Each action keeps its own policy and parameters, though it is enqueued by the
// outcome of another.
func TestBundleNextActionHasItsOwnPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := bundle(1, "a", "b")
	b.Actions[1].RetryPolicy = &minoots.RetryPolicy{MaxAttempts: 1}
	b.Actions[1].Parameters = []byte(`{"url":"x"}`)
	seen := make(chan minoots.Delivery, 4)
	a := &actor{do: func(_ context.Context, d minoots.Delivery, _ int) minoots.Outcome {
		seen <- d
		if d.Action.ID == "b" {
			return failed("timeout", true)
		}
		return succeeded()
	}}
	ids := w.fire(b)
	k := w.start(workers.Config{Actions: a})
	w.eventuallyOver(1)
	k.stop()
	first, second := <-seen, <-seen
	assert.Empty(t, seen, "one attempt is all that b has")
	assert.JSONEq(t, `{"url":"x"}`, string(second.Action.Parameters))
	assert.Equal(t, 1, second.Policy.MaxAttempts)
	assert.Equal(t, first.Timer, second.Timer)
	assert.Equal(t, first.DueAt, second.DueAt)
	assert.Equal(t, ids[0].String()+"_1_b", second.WebhookID())
}

// Many bundles at once: their outcomes meet in groups, and in the same rows.
func TestBundlesMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &actor{}
	w.fire(many(60, bundle(2, sixActions...))...)
	k := w.start(workers.Config{Actions: a})
	w.eventuallyOver(60)
	k.stop()
	w.requireConsistent()
	assert.Len(t, a.attempts(), 60*len(sixActions))
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.firings WHERE ended <> 6 OR failed <> 0"))
}

// A later action of which no job can be made fails the firing, rather than to
// leave it running for ever.
func TestBundleNextActionThatCannotBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := bundle(1, "a", "b")
	b.Actions[1].Parameters = []byte(`{"x": 1e-200000}`)
	fine := bundle(1, "a", "b")
	ids := w.fire(b, fine, fine)
	k := w.start(workers.Config{Actions: &actor{}})
	w.eventuallyOver(3)
	k.stop()
	w.requireConsistent()
	timer, err := w.api.TimerGet(t.Context(), tenant, ids[0])
	require.NoError(t, err)
	assert.Equal(t, minoots.StatusFailed, timer.Status)
	assert.Contains(t, *timer.FailureReason, "cannot be stored")
	assert.Equal(t, 2, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'settled'"), "the others")
	assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.attempts WHERE timer_id = $1 AND status = 'succeeded'", ids[0]))
}
