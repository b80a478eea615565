package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Each goal is tried with a figure that just reaches it and with one that just
// does not.
func TestGoalsAreReachedAndMissed(t *testing.T) {
	t.Parallel()
	for _, g := range goals {
		t.Run(g.key, func(t *testing.T) {
			t.Parallel()
			edge, of := g.bound, (*Figure)(nil)
			if g.of != "" {
				of = &Figure{Key: g.of, Value: 1000}
				edge *= of.Value
			}
			inside, outside := edge*1.001, edge*0.999-0.001
			if g.must != atLeast {
				inside, outside = edge*0.999, edge*1.001
			}
			_, reached := g.judge(Figure{Value: inside}, of)
			require.True(t, *reached, "%v reaches %v", inside, edge)
			_, reached = g.judge(Figure{Value: outside}, of)
			require.False(t, *reached, "%v misses %v", outside, edge)
			_, reached = g.judge(Figure{Value: edge}, of)
			require.Equal(t, g.must != below, *reached, "the edge itself")
		})
	}
}

func TestGoalOfAFigureThatWasNotTaken(t *testing.T) {
	t.Parallel()
	g, ok := goalOf("P1")
	require.True(t, ok)
	for name, of := range map[string]*Figure{"none": nil, "skipped": {Skipped: "no reason"}} {
		ratio, reached := g.judge(Figure{Value: 1}, of)
		require.Nil(t, ratio, name)
		require.Nil(t, reached, name)
	}
	_, reached := g.judge(Figure{Skipped: "no reason"}, &Figure{Value: 1})
	require.Nil(t, reached)
	_, ok = goalOf("L1")
	require.False(t, ok, "a limit has no goal")
}

func TestGoalsSpeakOfFiguresThatThereAre(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, s := range steps {
		for _, n := range s.names {
			names[n] = true
		}
	}
	for _, g := range goals {
		require.True(t, names[Figure{Key: g.key}.step()], g.key)
		require.True(t, g.of == "" || names[Figure{Key: g.of}.step()], g.of)
	}
}

func TestReportIsJudged(t *testing.T) {
	t.Parallel()
	r := newReport(Config{})
	r.add("L1", "limit", 1000, "timers/s")
	r.add("P1", "product", 300, "timers/s")
	r.add("P9", "share", 5, "%")
	r.add("P10.wal", "stated", 4000, "bytes")
	r.judge()
	require.Equal(t, []string{"P1", "P9"}, r.Missed())
	require.Equal(t, "≥ 0.4 × L1 = 400", r.figure("P1").Goal)
	require.InDelta(t, 0.3, *r.figure("P1").Ratio, 1e-9)
	require.Equal(t, "< 5 %", r.figure("P9").Goal)
	require.Empty(t, r.figure("P10.wal").Goal)

	better := newReport(Config{})
	better.add("L1", "limit", 1000, "timers/s")
	better.add("P1", "product", 400, "timers/s")
	better.judge()
	require.Empty(t, better.Missed())
}
