package workers_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/workers"
)

func TestRecorderCommitsInGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const outcomes = 1000
	w.fire(many(outcomes, bundle(1, "a"))...)
	k := w.start(workers.Config{Actions: &actor{}})
	w.eventuallyOver(outcomes)
	k.stop()
	w.requireConsistent()
	group := k.family(t, "minoots_recorder_group_outcomes")[0].GetHistogram()
	assert.Equal(t, float64(outcomes), group.GetSampleSum())
	assert.Less(t, group.GetSampleCount(), uint64(outcomes/5), "transactions")
}

// With nothing else to do an outcome is committed alone, and at once.
func TestRecorderDoesNotWaitForAGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.start(workers.Config{Actions: &actor{}})
	for i := range 3 {
		w.fire(bundle(1, "a"))
		w.eventuallyOver(i + 1)
	}
	k.stop()
	group := k.family(t, "minoots_recorder_group_outcomes")[0].GetHistogram()
	assert.Equal(t, uint64(3), group.GetSampleCount())
	assert.Less(t, k.family(t, "minoots_recorder_seconds")[0].GetHistogram().GetSampleSum(), 2.0, "seconds for the three")
}

// An outcome that Postgres refuses takes no other with it, and is recorded
// without its texts.
func TestRecorderIsolatesAnOutcomeThatCannotBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 100
	var gate sync.WaitGroup // all end at once, in one group or two
	gate.Add(timers)
	a := &actor{do: func(_ context.Context, d minoots.Delivery, _ int) minoots.Outcome {
		gate.Done()
		gate.Wait()
		if d.Action.ID == "bad" {
			return minoots.Outcome{ErrorClass: "http_status", HTTPStatus: 400, Error: "NUL \x00", Response: []byte("\xff\x00")}
		}
		return succeeded()
	}}
	all := many(timers, bundle(1, "a"))
	all[17], all[71] = bundle(1, "bad"), bundle(1, "bad")
	w.fire(all...)
	k := w.start(workers.Config{Actions: a})
	w.eventuallyOver(timers)
	k.stop()
	w.requireConsistent()
	assert.Equal(t, timers-2, w.count("SELECT count(*) FROM minoots.timer_states WHERE status = 'settled'"))
	assert.Equal(t, 2, w.count(`SELECT count(*) FROM minoots.attempts WHERE status = 'failed' AND http_status = 400
		AND error_class = 'http_status' AND response IS NULL AND error LIKE '%could not be stored'`))
	assert.Len(t, a.attempts(), timers, "none was repeated")
	assert.Zero(t, k.counter(t, "minoots_recorder_errors_total"))
}

// meetings makes n executors wait for one another and for what do does then.
func meetings(n int, do func()) func(context.Context, minoots.Delivery, int) minoots.Outcome {
	var gate sync.WaitGroup
	gate.Add(n)
	var once sync.Once
	return func(context.Context, minoots.Delivery, int) minoots.Outcome {
		gate.Done()
		gate.Wait()
		once.Do(do)
		return succeeded()
	}
}

func TestRecorderOutlivesPostgres(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name string
		do   func(*faultproxy.Proxy)
	}{
		{"gone", (*faultproxy.Proxy).Down},
		{"cut", (*faultproxy.Proxy).Cut},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := faultproxy.New(t, w.URL)
			const timers = 50
			a := &actor{do: meetings(timers, func() { fault.do(p) })}
			w.fire(many(timers, bundle(1, "a"))...)
			k := w.start(workers.Config{Actions: a, DB: w.connect(p.URL(), 10)})
			a.eventuallyMade(t, timers)
			require.Eventually(t, func() bool { return k.counter(t, "minoots_recorder_retries_total") >= 1 }, soon, tick)
			p.Set(faultproxy.Pass)
			w.eventuallyOver(timers)
			k.stop()
			w.requireConsistent()
			assert.Len(t, a.attempts(), timers, "none was repeated")
			assert.Equal(t, timers, w.count("SELECT count(*) FROM minoots.attempts"))
		})
	}
}

func TestRecorderResolvesACommitWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	const timers = 20
	meet := meetings(timers, func() { p.Set(faultproxy.Mute) })
	a := &actor{do: func(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome {
		if d.Action.ID == "b" {
			return succeeded()
		}
		return meet(ctx, d, attempt)
	}}
	w.fire(append(many(timers-1, bundle(1, "a")), bundle(1, "a", "b"))...) // the last with a next job, in the same transaction
	database := w.connect(p.URL(), 10)
	var warm sync.WaitGroup // connections that need not be made while nobody answers
	for range 10 {
		warm.Go(func() { _, _ = database.Pool().Exec(t.Context(), "SELECT pg_sleep(0.1)") })
	}
	warm.Wait()
	k := w.start(workers.Config{Actions: a, DB: database})
	a.eventuallyMade(t, timers)
	// The server has done it, or is in the middle of a transaction of several
	// statements, or had to be given up.
	require.Eventually(t, func() bool {
		return w.count("SELECT count(*) FROM minoots.attempts") > 0 || w.muted() || k.counter(t, "minoots_recorder_retries_total") > 0
	}, soon, tick)
	p.Cut()
	p.Set(faultproxy.Pass)
	require.Eventually(t, func() bool { return k.counter(t, "minoots_recorder_retries_total") >= 1 }, soon, tick)
	w.eventuallyOver(timers)
	k.stop()
	w.requireConsistent()
	ids := map[string]int{}
	for _, made := range a.attempts() {
		ids[made.webhookID]++
	}
	assert.Len(t, ids, timers+1)
	assert.Len(t, a.attempts(), timers+1, "none was repeated")
}

// muted tells whether a session waits in a transaction for a client that hears nothing.
func (w *world) muted() bool {
	return w.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'") > 0
}

// The texts of outcomes are kept as they are, as long as Postgres takes them.
func TestRecorderKeepsTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := strings.Repeat("é", minoots.MaxResponseCapture/2)
	a := &actor{do: func(context.Context, minoots.Delivery, int) minoots.Outcome {
		return minoots.Outcome{Success: true, HTTPStatus: 201, Response: []byte(body)}
	}}
	ids := w.fire(bundle(1, "a"))
	w.start(workers.Config{Actions: a})
	w.eventuallyOver(1)
	f, err := w.api.FiringGet(t.Context(), tenant, ids[0], 1)
	require.NoError(t, err)
	require.Len(t, f.Attempts, 1)
	assert.Equal(t, body, *f.Attempts[0].Response)
	assert.Equal(t, "201 <nil> <nil>", fmt.Sprint(*f.Attempts[0].HTTPStatus, f.Attempts[0].ErrorClass, f.Attempts[0].Error))
}
