package workers

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever comes and goes, no flow, tenant or destination has more than its
// share, nothing is lost, and what may begin does.
func TestTurnsKeepTheirBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := limits{slots: rapid.IntRange(1, 12).Draw(t, "slots"), buffer: rapid.IntRange(1, 40).Draw(t, "buffer")}
		turns, now := newTurns(l), time.Unix(0, 0)
		var running []*task
		reserved, waiting, taken, ended := 0, 0, 0, 0
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 700).Draw(t, "ms")) * time.Millisecond)
			switch rapid.SampledFrom([]string{"come", "come", "come", "end", "stuck", "all"}).Draw(t, "what") {
			case "come":
				f := turns.flow(flowKey{
					fmt.Sprint("tenant ", rapid.IntRange(0, 2).Draw(t, "tenant")), fmt.Sprint("host ", rapid.IntRange(0, 2).Draw(t, "host")),
				})
				if ok, _ := turns.reserve(f, now); ok {
					turns.release(f)
					turns.push(&task{flow: f})
					reserved, waiting = reserved+1, waiting+1
				}
			case "end":
				if len(running) > 0 {
					i := rapid.IntRange(0, len(running)-1).Draw(t, "which")
					turns.end(running[i], now, time.Duration(rapid.IntRange(1, 5000).Draw(t, "took"))*time.Millisecond)
					running = append(running[:i], running[i+1:]...)
					ended++
				}
			case "stuck":
				out := len(turns.stuck(now))
				waiting, taken = waiting-out, taken+out
			case "all":
				out := len(turns.all())
				waiting, taken = waiting-out, taken+out
			}
			for k := turns.pop(now); k != nil; k = turns.pop(now) {
				running, waiting = append(running, k), waiting-1
			}
			require.Equal(t, len(running), turns.running)
			require.Equal(t, waiting, turns.waiting)
			require.Equal(t, reserved, len(running)+waiting+taken+ended)
			require.LessOrEqual(t, turns.running, l.slots)
			require.LessOrEqual(t, turns.waiting, l.buffer)
			for _, n := range turns.tenants {
				require.LessOrEqual(t, n, l.most())
			}
			for _, n := range turns.destinations {
				require.LessOrEqual(t, n, l.most())
			}
			for _, f := range turns.ring {
				require.NotEmpty(t, f.waiting)
				require.LessOrEqual(t, len(f.waiting), l.waitMost())
				require.True(t, turns.running >= l.slots || !turns.may(f, now), "something may begin and has not")
			}
		}
	})
}

// Flows with waiting deliveries take turns, whatever each has.
func TestTurnsAreTaken(t *testing.T) {
	t.Parallel()
	turns, now := newTurns(limits{slots: 6, buffer: 1000}), time.Now()
	for _, host := range []string{"many", "few"} {
		f := turns.flow(flowKey{"acme", host})
		f.typical = time.Millisecond
		for range map[string]int{"many": 300, "few": 3}[host] {
			ok, _ := turns.reserve(f, now)
			require.True(t, ok)
			turns.release(f)
			turns.push(&task{flow: f})
		}
	}
	var order []string
	for k := turns.pop(now); len(order) < 8; k = turns.pop(now) {
		order = append(order, k.flow.destination)
		turns.end(k, now, time.Millisecond)
	}
	assert.Equal(t, []string{"many", "few", "many", "few", "many", "few", "many", "many"}, order)
}

// A flow of which nothing is known yet begins with a quarter of the slots, and
// has more when it has answered.
func TestTurnsBeginWithCare(t *testing.T) {
	t.Parallel()
	turns, now := newTurns(limits{slots: 20, buffer: 100}), time.Now()
	f := turns.flow(flowKey{"acme", "new"})
	for range 50 {
		turns.reserve(f, now)
		turns.release(f)
		turns.push(&task{flow: f})
	}
	begin := func() (all []*task) {
		for k := turns.pop(now); k != nil; k = turns.pop(now) {
			all = append(all, k)
		}
		return all
	}
	first := begin()
	assert.Len(t, first, 5)
	turns.end(first[0], now, time.Millisecond)
	assert.Len(t, begin(), 15-4, "three quarters in all")
	now = now.Add(2 * slowAttempt)
	assert.Len(t, turns.stuck(now), 50-16, "and nothing of it waits when nothing ends any more")
}
