package workers_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/minoots/minoots/workers"
)

func TestReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 300
	one, two := &actor{do: aLittle}, &actor{do: aLittle}
	first := w.start(workers.Config{Actions: one, Replica: "one", Concurrency: 10})
	second := w.start(workers.Config{Actions: two, Replica: "two", Concurrency: 10})
	w.fire(many(timers, bundle(1, "a"))...)
	w.eventuallyOver(timers)
	first.stop()
	second.stop()
	w.requireConsistent()
	assert.Equal(t, timers, len(one.attempts())+len(two.attempts()), "each once")
	assert.Greater(t, len(one.attempts()), timers/10)
	assert.Greater(t, len(two.attempts()), timers/10)
	assert.Equal(t, len(one.attempts()), w.count("SELECT count(*) FROM minoots.attempts WHERE replica = 'one'"))
}

// Behind a pooler River cannot listen.
func TestReplicaPollOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.start(workers.Config{Actions: &actor{}, PollOnly: true})
	for i := range 3 {
		w.fire(bundle(1, "a"))
		w.eventuallyOver(i + 1)
	}
	k.stop()
	w.requireConsistent()
}

// The queue's workers bound what is under way at once.
func TestReplicaConcurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &actor{do: aLittle}
	w.fire(many(40, bundle(1, "a"))...)
	w.start(workers.Config{Actions: a, Concurrency: 4})
	w.eventuallyOver(40)
	assert.Equal(t, 4, a.together())
}
