package workers_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers"
)

// One bundle from end to end, on two replicas at once: retries by the policy, an
// escalation, a compensation, a dead letter, and its redrive, which settles all.
func TestBundleEscalatesCompensatesAndIsRedriven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := bundle(1, "a", "b")
	b.Actions[0].Escalation = &minoots.Escalation{AfterAttempts: 2, EscalatesTo: &minoots.Action{
		ID: "page", Kind: minoots.KindWebhook, RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 1},
	}}
	b.OnFailure = minoots.OnFailureContinue
	b.Compensation = []minoots.Action{{ID: "undo", Kind: minoots.KindWebhook}}

	var mu sync.Mutex
	mended := false
	told := map[string]minoots.Delivery{}
	a := &actor{do: func(_ context.Context, d minoots.Delivery, _ int) minoots.Outcome {
		mu.Lock()
		defer mu.Unlock()
		told[d.Action.ID] = d
		if d.Action.ID == "b" || d.Action.ID == "undo" || mended {
			return succeeded()
		}
		return failed("timeout", true)
	}}
	ids := w.fire(b)
	one, two := w.start(workers.Config{Actions: a}), w.start(workers.Config{Actions: a})
	w.eventually(1, "SELECT count(*) FROM minoots.attempts WHERE action_id = 'undo'")
	assert.Equal(t, []attempt{
		{ids[0].String() + "_1_a", "a", 1}, {ids[0].String() + "_1_a", "a", 2}, {ids[0].String() + "_1_page", "page", 1},
		{ids[0].String() + "_1_b", "b", 1}, {ids[0].String() + "_1_undo", "undo", 1},
	}, a.attempts())
	mu.Lock()
	assert.Equal(t, "a", told["page"].Cause.ActionID)
	assert.Equal(t, 2, told["page"].Cause.Attempts)
	assert.Len(t, told["undo"].Compensates.Failed, 2, "a, and what took over")
	assert.Len(t, told["undo"].Compensates.Succeeded, 1)
	mended = true
	mu.Unlock()
	timer, err := w.api.TimerGet(t.Context(), tenant, ids[0])
	require.NoError(t, err)
	assert.Equal(t, minoots.StatusFailed, timer.Status)

	letters, err := w.api.DeadLetterPage(t.Context(), tenant, db.DeadLetterFilter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, letters, 1)
	_, err = w.api.DeadLetterRedriveOne(t.Context(), tenant, letters[0].ID)
	require.NoError(t, err)
	w.eventually(1, "SELECT count(*) FROM minoots.timer_states WHERE status = 'settled' AND failure_reason IS NULL")
	one.stop()
	two.stop()
	made := a.attempts()
	assert.Equal(t, attempt{ids[0].String() + "_1_page", "page", 2}, made[len(made)-1], "counted on, under the same webhook-id")
	assert.Equal(t, 1.0, one.counter(t, "minoots_dead_letters_total")+two.counter(t, "minoots_dead_letters_total"))
	assert.Equal(t, 1.0, one.counter(t, "minoots_escalations_total")+two.counter(t, "minoots_escalations_total"))
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"))
}

// A redrive has as many attempts as the policy allows, after those made before,
// and retryOn makes an attempt of what is else final.
func TestRetryOnAndRedriveCountAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := bundle(1, "a")
	b.RetryPolicy.MaxAttempts = 2
	b.RetryPolicy.RetryOn = []string{"404"}
	a := &actor{do: func(context.Context, minoots.Delivery, int) minoots.Outcome {
		out := failed("http_status", false)
		out.HTTPStatus = 404
		return out
	}}
	w.fire(b)
	k := w.start(workers.Config{Actions: a})
	w.eventually(1, "SELECT count(*) FROM minoots.dead_letters WHERE status = 'dead' AND attempts = 2")
	letters, err := w.api.DeadLetterPage(t.Context(), tenant, db.DeadLetterFilter{Limit: 10})
	require.NoError(t, err)
	for redrives := 1; redrives <= 2; redrives++ {
		_, err = w.api.DeadLetterRedriveOne(t.Context(), tenant, letters[0].ID)
		require.NoError(t, err)
		w.eventually(1, "SELECT count(*) FROM minoots.dead_letters WHERE status = 'dead' AND attempts = $1", 2+2*redrives)
	}
	k.stop()
	var numbers []int
	for _, made := range a.attempts() {
		numbers = append(numbers, made.number)
	}
	assert.Equal(t, []int{1, 2, 3, 4, 5, 6}, numbers)
	assert.Equal(t, 3, w.count("SELECT count(*) FROM minoots.attempts WHERE status = 'failed'"))
}
