package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPercentileIsNearestRank(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1)*time.Millisecond)
	}
	for _, c := range []struct {
		samples []time.Duration
		p       float64
		want    time.Duration
	}{
		{hundred, 50, 50 * time.Millisecond},
		{hundred, 90, 90 * time.Millisecond},
		{hundred, 99, 99 * time.Millisecond},
		{hundred, 100, 100 * time.Millisecond},
		{hundred[:1], 50, time.Millisecond},
		{hundred[:1], 99, time.Millisecond},
		{hundred[:3], 50, 2 * time.Millisecond},
		{hundred[:3], 99, 3 * time.Millisecond}, // the worst of few, not a value in between
	} {
		require.Equal(t, c.want, percentile(c.samples, c.p), "p%v of %d", c.p, len(c.samples))
	}
}

func TestLatenessOfUnsorted(t *testing.T) {
	t.Parallel()
	l := latenessOf([]time.Duration{3 * time.Millisecond, -time.Millisecond, 10 * time.Millisecond})
	require.Equal(t, Lateness{Timers: 3, P50: 3, P90: 10, P99: 10, Max: 10, Min: -1}, l, "an early one shows as negative")
	require.Equal(t, "3 / 10 / 10 / 10 / -1", l.String())
	require.Equal(t, Lateness{}, latenessOf(nil))
	l.Unseen = 1
	require.Equal(t, "at least 3 / 10 / 10 / 10 / -1", l.String())
}
