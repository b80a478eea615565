package endtoend_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/rig"
)

// Timers over REST and gRPC; the replica on which the readers hang, which is also
// the one that relays to NATS, is killed while they fire. In the end the webhooks,
// SSE, gRPC, NATS, a subscription and the tables tell the same of each timer.
func TestAllDoorsTellTheSameStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := time.Now()
	w.until("a replica relays", func() bool { return w.relaying() >= 0 })
	victim := w.relaying()
	reading, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	defer func() { stop(); wait.Wait() }()
	readers := []*reader{w.readSSE(reading, &wait, victim), w.readGRPC(reading, &wait, victim), w.readNATS(reading, &wait)}

	c := w.callers()
	readers = append(readers, w.subscribe(c))
	timers := allTimers()
	first, second := waves(timers)
	var made atomic.Int64
	require.NoError(t, c.schedule(t.Context(), first, &made))
	w.until("webhooks come", func() bool { _, ids := w.receiver.received(); return ids >= counts[kindPlain]/8 })

	// The second wave meets the kill.
	scheduled := make(chan error, 1)
	wait.Go(func() { scheduled <- c.schedule(t.Context(), second, &made) })
	decoys, err := c.catch(t.Context(), victim, &made, len(first)+len(second)/8)
	require.NoError(t, err)
	timers = append(timers, decoys...)
	w.kill(victim)
	if other := w.relaying(); other >= 0 && other != victim { // the lease has moved: a slow machine
		w.kill(other)
	}
	killed := time.Now()
	close(w.receiver.release)
	w.until("another replica relays", func() bool { i := w.relaying(); return i >= 0 && !w.fleet[i].Over() })
	t.Logf("another replica relays after %s", time.Since(killed).Round(time.Millisecond))
	require.NoError(t, <-scheduled)
	for _, m := range timers {
		switch m.kind {
		case kindPaused:
			require.NoError(t, c.resume(t.Context(), m), m.name())
		case kindReplayed:
			require.NoError(t, c.replay(t.Context(), m), m.name())
		}
	}

	w.over()
	log, err := c.log(t.Context())
	require.NoError(t, err)
	for _, r := range readers {
		w.until(r.door+" has told all", func() bool {
			n, err := r.seen()
			require.NoError(t, err, r.door)
			return n >= len(log)
		})
	}
	w.stopRest() // what is still on its way comes, or never will
	stop()
	wait.Wait() // the readers' notes are nobody else's now

	w.report(log, readers, time.Since(began))
	assert.Equal(t, w.count("SELECT count(*) FROM minoots.events"), len(log), "the pages have the whole log")
	for _, r := range readers {
		told := r.events
		if r.anyOrder {
			told = inOrderOf(log, told)
		}
		bad := disagreements(log, told)
		assert.Empty(t, bad[:min(len(bad), 5)], "%s disagrees with the log in %d places", r.door, len(bad))
	}
	for _, r := range readers[:2] {
		assert.Greater(t, r.opened, 1, "%s has changed replicas", r.door)
	}
	w.assertRows(log, timers)
	w.assertWebhooks()
	assert.Positive(t, w.count("SELECT count(*) FROM minoots.attempts WHERE error_class = 'lost'"), "the kill has cut deliveries")
	said, err := w.audit()
	require.NoError(t, err, "%s", said)
}

// allTimers are those of the test, the kinds mixed.
func allTimers() (all []*timer) {
	for kind, n := range counts {
		for i := range n {
			all = append(all, &timer{kind: kind, n: i})
		}
	}
	slices.SortFunc(all, func(a, b *timer) int {
		return (a.n+1)*counts[b.kind] - (b.n+1)*counts[a.kind]
	})
	return all
}

func waves(timers []*timer) (first, second []*timer) {
	for _, m := range timers {
		if m.wave() == 0 {
			first = append(first, m)
		} else {
			second = append(second, m)
		}
	}
	return first, second
}

// kill ends a replica as the system does when memory runs out.
func (w *world) kill(i int) {
	w.Helper()
	w.Logf("kill -9 of replica %d with %d slow deliveries under way", i, w.holding(i))
	require.NoError(w, w.fleet[i].Process.Kill())
	<-w.fleet[i].Done
}

// stopRest stops the replicas that are left, in order.
func (w *world) stopRest() {
	w.Helper()
	var left []*rig.Replica
	for _, r := range w.fleet {
		if !r.Over() {
			left = append(left, r)
		}
	}
	require.NotEmpty(w, left)
	require.NoError(w, rig.StopReplicas(left))
	for _, r := range left {
		require.NoError(w, r.Err())
	}
}

// report prints what each door has told.
func (w *world) report(log []minoots.Event, readers []*reader, took time.Duration) {
	w.Logf("%-10s %8s %8s %12s", "door", "events", "repeats", "connections")
	w.Logf("%-10s %8d", "the log", len(log))
	for _, r := range readers {
		w.Logf("%-10s %8d %8d %12d", r.door, len(r.ids), len(r.events)-len(r.ids), r.opened)
	}
	all, ids := w.receiver.received()
	w.Logf("%-10s %8d %8d", "webhooks", ids, all-ids)
	w.Logf("tables: %d timers, %d firings, %d attempts of which %d were lost, %d dead letters; %s in all",
		w.count("SELECT count(*) FROM minoots.timer_states"), w.count("SELECT count(*) FROM minoots.firings"),
		w.count("SELECT count(*) FROM minoots.attempts"), w.count("SELECT count(*) FROM minoots.attempts WHERE error_class = 'lost'"),
		w.count("SELECT count(*) FROM minoots.dead_letters"), took.Round(time.Millisecond))
}
