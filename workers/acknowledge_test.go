package workers_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers"
)

// agents is an Executor of agent_prompt that keeps what it is told.
type agents struct {
	// do sends; nil has the receiver take it on.
	do func(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome

	mu   sync.Mutex
	sent []minoots.Delivery
}

func (a *agents) Kinds() []minoots.ActionKind          { return []minoots.ActionKind{minoots.KindAgentPrompt} }
func (a *agents) Destination(*minoots.Delivery) string { return "agent" }
func (a *agents) Execute(ctx context.Context, d minoots.Delivery, attempt int) (out minoots.Outcome) {
	a.mu.Lock()
	a.sent = append(a.sent, d)
	a.mu.Unlock()
	began := time.Now()
	out = minoots.Outcome{Success: true, HTTPStatus: 202}
	if a.do != nil {
		out = a.do(ctx, d, attempt)
	}
	out.StartedAt, out.FinishedAt = began, time.Now()
	return out
}

func (a *agents) all() []minoots.Delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]minoots.Delivery{}, a.sent...)
}

// token is that of the nth send.
func (a *agents) token(t testing.TB, n int) string {
	t.Helper()
	require.Eventually(t, func() bool { return len(a.all()) > n }, soon, tick, "send %d", n)
	ack := a.all()[n].Acknowledgement
	require.NotNil(t, ack)
	assert.Equal(t, "https://timers.example.com/v1/acks/"+ack.Token, ack.URL)
	return ack.Token
}

const publicURL = "https://timers.example.com"

// bindAgent has all jobs of these deliveries go to an agent.
type bindAgent struct {
	planner
	timeout time.Duration
}

func (p bindAgent) Plan(ctx context.Context, deliveries []minoots.Delivery) (*db.JobBatch, error) {
	for i := range deliveries {
		deliveries[i].AgentBinding = &minoots.AgentBinding{
			Adapter: "custom", Target: "https://example.com", AcknowledgementTimeoutMs: p.timeout.Milliseconds(),
		}
	}
	return p.planner.Plan(ctx, deliveries)
}

// prompts is a bundle of agent_prompt actions, retried after 10 ms.
func prompts(actions ...string) *minoots.Bundle {
	b := bundle(1, actions...)
	for i := range b.Actions {
		b.Actions[i].Kind = minoots.KindAgentPrompt
	}
	return b
}

// wake fires timers whose actions wake agents.
func (w *world) wake(p planner, timeout time.Duration, bundles ...*minoots.Bundle) []minoots.ID {
	w.Helper()
	return w.fireBy(w.plan(bindAgent{p, timeout}), bundles...)
}

func (w *world) acknowledge(p planner, token string, ok bool) error {
	given := db.AcknowledgementGiven{Status: minoots.AcknowledgementSucceeded}
	if !ok {
		given = db.AcknowledgementGiven{Status: minoots.AcknowledgementFailed, Error: "no", Retry: true}
	}
	_, err := w.api.AcknowledgementRecord(w.Context(), token, given, workers.Judge,
		func(ctx context.Context, _ db.Tx, next []minoots.Delivery) (*db.JobBatch, error) {
			return p.Plan(ctx, next)
		})
	return err
}

const waiting = "SELECT count(*) FROM minoots.acknowledgements WHERE status = 'waiting'"

// However a delivery comes to a worker, what waits for its agent takes none: more
// wait than there are workers, and the next action of each begins when it is
// acknowledged.
func TestAcknowledgementsTakeNoWorker(t *testing.T) {
	t.Parallel()
	for name, here := range map[string]bool{"here": true, "fetched": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			const timers = 10
			a := &agents{}
			k := w.start(workers.Config{Actions: a, Concurrency: 2, PublicURL: publicURL})
			var p planner = w.queues
			if here {
				p = k
			}
			for range timers {
				w.wake(p, time.Hour, prompts("a", "b"))
			}
			w.eventually(timers, waiting)
			assert.Zero(t, w.count("SELECT count(*) FROM river.river_job WHERE state = 'running'"))
			assert.Zero(t, w.count("SELECT count(*) FROM minoots.attempts"))
			for n := range 2 * timers {
				require.NoError(t, w.acknowledge(p, a.token(t, n), true))
			}
			w.eventuallyOver(timers)
			k.stop()
			assert.Equal(t, timers, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'settled'"))
			assert.Equal(t, 2*timers, w.count("SELECT count(*) FROM minoots.attempts WHERE status = 'succeeded'"))
			assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"))
			assert.InDelta(t, 2*timers, k.counter(t, "minoots_acknowledgements_awaited_total"), 0)
		})
	}
}

// Silence and a word of failure are failed attempts: they are made again, with a
// token of their own, until there are no more.
func TestAcknowledgementsThatDoNotComeAreRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &agents{}
	w.start(workers.Config{Actions: a, PublicURL: publicURL})
	id := w.wake(w.queues, time.Hour, prompts("a"))[0]
	w.eventually(1, waiting)
	w.exec("UPDATE minoots.acknowledgements SET expires_at = now() WHERE status = 'waiting'")
	n, err := w.api.AcknowledgementExpire(t.Context(), workers.Judge, nil)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	second := a.token(t, 1)
	assert.NotEqual(t, a.token(t, 0), second)
	require.ErrorIs(t, w.acknowledge(w.queues, a.token(t, 0), true), db.ErrExpired)
	require.NoError(t, w.acknowledge(w.queues, second, false))
	require.NoError(t, w.acknowledge(w.queues, a.token(t, 2), false))
	w.eventuallyOver(1)
	firing, err := w.api.FiringGet(t.Context(), tenant, id, 1)
	require.NoError(t, err)
	assert.Equal(t, minoots.FiringFailed, firing.Status)
	var classes []string
	for _, attempt := range firing.Attempts {
		classes = append(classes, *attempt.ErrorClass+" "+string(attempt.Status))
	}
	assert.Equal(t, []string{"ack_timeout retrying", "agent_failed retrying", "agent_failed failed"}, classes)
	for _, d := range a.all() {
		assert.Equal(t, a.all()[0].WebhookID(), d.WebhookID())
	}
}

// An agent says while it is still being sent to that it failed. The next attempt
// begins before the first send has returned, and what that then reports, to us
// and to River, harms it not: River fences by no attempt.
func TestAcknowledgedFailureWhileItIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, out := range map[string]minoots.Outcome{
		"sent well": succeeded(), "sent badly": failed("timeout", true), "refused": failed("http_status", false),
	} {
		first, second := make(chan struct{}), make(chan struct{})
		a := &agents{do: func(_ context.Context, _ minoots.Delivery, attempt int) minoots.Outcome {
			if attempt == 1 {
				<-first
				return out
			}
			<-second
			return succeeded()
		}}
		k := w.start(workers.Config{Actions: a, PublicURL: publicURL})
		w.exec("DELETE FROM river.river_job")
		id := w.wake(w.queues, time.Hour, prompts("a"))[0]
		require.NoError(t, w.acknowledge(w.queues, a.token(t, 0), false), name)
		token := a.token(t, 1) // the second attempt is under way
		close(first)
		require.Eventually(t, func() bool { return k.counter(t, "minoots_outcomes_superseded_total") > 0 }, soon, tick)
		// River writes what it was told at its own pace: a stop waits for that.
		close(second)
		w.eventually(1, waiting)
		k.stop()
		assert.Equal(t, 1, w.count(waiting), "%s: the second attempt waits", name)
		require.NoError(t, w.acknowledge(w.queues, token, true), name)
		timer, err := w.api.TimerGet(t.Context(), tenant, id)
		require.NoError(t, err)
		assert.Equal(t, minoots.StatusSettled, timer.Status, name)
		assert.Equal(t, 2, w.count("SELECT count(*) FROM minoots.attempts WHERE timer_id = $1", id), name)
	}
	w.requireConsistentButFor("action.acknowledged")
}

// requireConsistentButFor is requireConsistent where events of one type more stand.
func (w *world) requireConsistentButFor(event string) {
	w.Helper()
	w.exec("DELETE FROM minoots.events WHERE type = $1", event)
	w.requireConsistent()
}

// A replica without the URL asks for nothing, and other kinds are never asked.
func TestNoAcknowledgementIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &agents{}
	k := w.start(workers.Config{Actions: a})
	w.wake(w.queues, time.Hour, prompts("a"))
	w.eventuallyOver(1)
	k.stop()
	assert.Nil(t, a.all()[0].Acknowledgement)
	hook := &actor{}
	w.start(workers.Config{Actions: hook, PublicURL: publicURL})
	w.wake(w.queues, time.Hour, bundle(1, "a"))
	w.eventuallyOver(2)
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.acknowledgements"))
}

// A token stands in no job and no row.
func TestTokensAreNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &agents{}
	w.start(workers.Config{Actions: a, PublicURL: publicURL})
	w.wake(w.queues, time.Hour, prompts("a"))
	w.eventually(1, waiting)
	token := strings.TrimPrefix(a.token(t, 0), "mna_")
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job j WHERE j::text LIKE '%' || $1 || '%'", token))
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.acknowledgements a WHERE a::text LIKE '%' || $1 || '%'", token))
}
