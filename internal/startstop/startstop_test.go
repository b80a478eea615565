package startstop

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// judge is a test that may fail.
type judge struct {
	testing.TB
	failed bool
}

func (j *judge) Fatalf(string, ...any) {
	j.failed = true
	runtime.Goexit()
}

// fails tells whether a loop does not pass.
func fails(t *testing.T, l Loop) bool {
	t.Helper()
	j := &judge{TB: t}
	done := make(chan struct{})
	go func() { defer close(done); l.Stress(j) }()
	<-done
	return j.failed
}

func TestStress(t *testing.T) {
	var lives, meanwhile atomic.Int64
	l := Loop{Rounds: 8, Longest: 5 * time.Millisecond, Within: time.Second}
	l.Run = func(ctx context.Context) error { lives.Add(1); <-ctx.Done(); return nil }
	l.Meanwhile = func(int) { meanwhile.Add(1) }
	l.Stress(t)
	require.EqualValues(t, 8, lives.Load())
	require.EqualValues(t, 8, meanwhile.Load())

	broken := l
	broken.Run = func(context.Context) error { return errors.New("broken") }
	require.True(t, fails(t, broken))
	broken.MayFail = true
	broken.Stress(t)

	slow := l
	slow.Within = 10 * time.Millisecond
	release := make(chan struct{})
	defer close(release)
	slow.Run = func(context.Context) error { <-release; return nil }
	require.True(t, fails(t, slow))
}

func TestStressFindsWhatIsLeft(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	l := Loop{Rounds: 1, Within: time.Second, Patience: 10 * time.Millisecond, Run: func(ctx context.Context) error {
		go func() { <-release }()
		<-ctx.Done()
		return nil
	}}
	require.True(t, fails(t, l))
}
