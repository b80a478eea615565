package workers

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func TestHealthCounts(t *testing.T) {
	t.Parallel()
	policy := Breaker{}.withDefaults()
	key := flowKey{"acme", "https://a.example"}
	at := func(s float64) time.Time { return time.Unix(1_000_000, 0).Add(time.Duration(s * float64(time.Second))) }

	t.Run("in a row", func(t *testing.T) {
		h := newHealth(policy)
		for range 4 {
			require.Zero(t, h.count(key, sick, at(0)))
		}
		require.Zero(t, h.count(key, healthy, at(0)), "it answers")
		for range 4 {
			require.Zero(t, h.count(key, sick, at(1)))
		}
		require.Zero(t, h.count(flowKey{"globex", key.destination}, sick, at(1)), "another's")
		require.Equal(t, 5, h.count(key, sick, at(1)))
	})
	t.Run("by share", func(t *testing.T) {
		h := newHealth(policy)
		opened := 0
		for i := range 40 {
			if opened = h.count(key, []verdict{sick, healthy}[i%2], at(float64(i)/10)); opened > 0 {
				require.GreaterOrEqual(t, i, policy.Least-1)
				break
			}
		}
		require.GreaterOrEqual(t, opened, 10)
	})
	t.Run("a small share", func(t *testing.T) {
		h := newHealth(policy)
		for i := range 1000 {
			v := healthy
			if i%3 == 0 {
				v = sick
			}
			require.Zero(t, h.count(key, v, at(float64(i)/10)))
		}
	})
	t.Run("long ago", func(t *testing.T) {
		h := newHealth(policy)
		for i := range 200 { // half of them, but never so many within the window
			require.Zero(t, h.count(key, []verdict{sick, healthy}[i%2], at(float64(i)*2)))
		}
	})
	t.Run("nothing is counted of those that do well", func(t *testing.T) {
		h := newHealth(policy)
		require.False(t, h.counts())
		h.count(key, healthy, at(0))
		require.False(t, h.counts())
		h.count(key, sick, at(0))
		require.True(t, h.counts())
		h.sweep(at(29))
		require.True(t, h.counts())
		h.sweep(at(31))
		require.False(t, h.counts())
	})
	t.Run("no more than it can bear", func(t *testing.T) {
		h := newHealth(policy)
		for i := range 2 * healthMost {
			h.count(flowKey{"acme", fmt.Sprint(i)}, sick, at(0))
		}
		assert.Len(t, h.flows, healthMost)
		h.count(key, sick, at(40))
		assert.Len(t, h.flows, 1, "the old ones make room")
	})
}

func TestGatesKeepWhatWasShutDuringALook(t *testing.T) {
	t.Parallel()
	g, key := newGates(), flowKey{"acme", "https://a.example"}
	require.True(t, g.none())
	turn := g.look()
	g.shut(key)
	require.NotNil(t, g.of(key))
	g.learn(turn, nil)
	require.NotNil(t, g.of(key), "the look did not see it yet")
	g.learn(g.look(), nil)
	require.Nil(t, g.of(key))
	require.True(t, g.none())
	require.Nil(t, (*gates)(nil).of(key))
}

// BenchmarkGates is what breakers cost a plan, for each delivery: with none open,
// and with many of others.
func BenchmarkGates(b *testing.B) {
	key := flowKey{"acme", "https://receiver.example"}
	for _, open := range []int{0, 1, 1000} {
		b.Run(fmt.Sprint("open=", open), func(b *testing.B) {
			g := newGates()
			for i := range open {
				g.shut(flowKey{"globex", fmt.Sprint("https://", i)})
			}
			for b.Loop() {
				if g.of(flowKey{key.tenant, minoots.CanonicalDestination(key.destination)}) != nil {
					b.Fatal("it is open")
				}
			}
		})
	}
}

// BenchmarkBreakerEnded is what breakers cost an attempt that succeeds.
func BenchmarkBreakerEnded(b *testing.B) {
	key, out := flowKey{"acme", "https://receiver.example"}, &minoots.Outcome{Success: true, HTTPStatus: 204}
	for _, ailing := range []bool{false, true} {
		b.Run(fmt.Sprint("another ailing=", ailing), func(b *testing.B) {
			k := &breaker{gates: newGates(), health: newHealth(Breaker{}.withDefaults())}
			if ailing {
				k.health.count(flowKey{"acme", "https://other.example"}, sick, time.Now())
			}
			for b.Loop() {
				if k.gates.of(key) == nil {
					k.ended(key, minoots.KindWebhook, out)
				}
			}
		})
	}
}
