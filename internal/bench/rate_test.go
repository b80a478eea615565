package bench

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRateLeavesTheWarmUpOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		perSecond, err := rate(t.Context(), 4, time.Second, 10*time.Second, func(ctx context.Context, _, _ int) (int, error) {
			each := 10 * time.Millisecond
			if time.Since(began) < time.Second {
				each = 100 * time.Millisecond // cold
			}
			return 2, pause(ctx, each)
		})
		require.NoError(t, err)
		require.InDelta(t, 800, perSecond, 8) // 4 workers, 100 calls a second each, 2 a call
	})
}

func TestRateFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		_, err := rate(t.Context(), 2, time.Second, time.Second, func(ctx context.Context, _, call int) (int, error) {
			if call == 5 {
				return 0, broken
			}
			return 1, pause(ctx, time.Millisecond)
		})
		require.ErrorIs(t, err, broken)

		_, err = rate(t.Context(), 2, time.Second, time.Second, func(ctx context.Context, _, _ int) (int, error) {
			return 0, pause(ctx, time.Millisecond)
		})
		require.ErrorContains(t, err, "nothing was done")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = rate(ctx, 2, time.Second, time.Second, func(ctx context.Context, _, _ int) (int, error) {
			return 1, pause(ctx, time.Millisecond)
		})
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestWatchCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		growing := func() (float64, error) {
			return min(1000, max(0, (time.Since(began)-3*time.Second).Seconds()*100)), nil
		}
		perSecond, err := watchCount(t.Context(), 1000, growing)
		require.NoError(t, err)
		require.InDelta(t, 100, perSecond, 2, "from when it began to grow")

		_, err = watchCount(t.Context(), 1001, growing)
		require.ErrorIs(t, err, errLost)
	})
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all, err := choose(Config{})
	require.NoError(t, err)
	require.Len(t, all, len(steps))
	some, err := choose(Config{Only: []string{"p10", "L1"}})
	require.NoError(t, err)
	require.Len(t, some, 2)
	outside, err := choose(Config{URL: "http://timers.example.com"})
	require.NoError(t, err)
	require.Len(t, outside, 3)
	_, err = choose(Config{Only: []string{"P1", "P99"}})
	require.ErrorContains(t, err, "nothing is called P99")
	_, err = choose(Config{URL: "http://timers.example.com", Only: []string{"P7"}})
	require.ErrorContains(t, err, "from outside")
}

func TestDueOfStaysInItsSlot(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for i := range 1000 {
		slot := start.Add(time.Duration(i) * time.Second / 300)
		due := dueOf(start, i, 300)
		require.False(t, due.Before(slot))
		require.True(t, due.Before(slot.Add(time.Second/300)))
	}
}
