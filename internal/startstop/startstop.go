// Package startstop tests that a loop bears being started and stopped at any
// moment: it ends in time, leaves no goroutine, and hides no error.
package startstop

import (
	"cmp"
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Loop is what is started and stopped. A test that stresses one must not be
// parallel, for it counts the goroutines of the whole process.
type Loop struct {
	// Run is one life of the loop. It blocks until ctx is done.
	Run func(ctx context.Context) error
	// Within is how long Run may take to return after that, as it is documented.
	Within time.Duration
	// Rounds is the number of lives.
	Rounds int
	// Longest is how long a life lasts at most. One in four is over before it
	// begins, one in four within a millisecond.
	Longest time.Duration
	// Meanwhile, if there, is called in each life, beside Run.
	Meanwhile func(round int)
	// After, if there, mends what Meanwhile broke and ends what is the test's own,
	// before the goroutines are counted.
	After func()
	// Patience is how long what has been let go may take to end: a connection that
	// is closed waits for the server to agree. Defaults to 10 s.
	Patience time.Duration
	// MayFail says that an error of Run is none of the test's: what it needs may
	// be away.
	MayFail bool
}

// Stress runs the loop again and again.
func (l Loop) Stress(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent() // the server's, the test's own, parallel tests that wait
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	slowest := time.Duration(0)
	for round := range l.Rounds {
		slowest = max(slowest, l.live(t, round, l.moment(rng, round)))
	}
	if l.After != nil {
		l.After()
	}
	patience := cmp.Or(l.Patience, 10*time.Second)
	began := time.Now()
	deadline := began.Add(patience)
	for err := goleak.Find(before); err != nil; err = goleak.Find(before) {
		if time.Now().After(deadline) {
			t.Fatalf("goroutines are left after %s: %v", patience, err)
		}
	}
	t.Logf("%d lives; the slowest end took %s of %s, and the last goroutine %s",
		l.Rounds, slowest.Round(time.Millisecond), l.Within, time.Since(began).Round(time.Millisecond))
}

// AnyMoment sleeps for a random time, up to most. What comes after it in a Meanwhile
// strikes at any moment of a life: there is nothing to wait for.
func AnyMoment(most time.Duration) {
	time.Sleep(rand.N(most))
}

// moment is how long the life of a round is to last.
func (l Loop) moment(rng *rand.Rand, round int) time.Duration {
	switch round % 4 {
	case 0:
		return 0
	case 1:
		return time.Duration(rng.Int64N(int64(time.Millisecond)))
	default:
		return time.Duration(rng.Int64N(int64(l.Longest)))
	}
}

// live is one round. It tells how long the end took.
func (l Loop) live(t testing.TB, round int, lasting time.Duration) time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if lasting == 0 {
		cancel()
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	if l.Meanwhile != nil {
		l.Meanwhile(round)
	}
	time.Sleep(lasting)
	cancel()
	told := time.Now()
	select {
	case err := <-ended:
		if err != nil && !l.MayFail {
			t.Fatalf("round %d, stopped after %s: %v", round, lasting, err)
		}
	case <-time.After(l.Within):
		t.Fatalf("round %d, stopped after %s: has not ended within %s", round, lasting, l.Within)
	}
	return time.Since(told)
}
