package workers_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/workers"
)

// newSecrets has a clock that is moved by hand.
func (w *world) newSecrets(url string) (s *workers.Secrets, advance func(time.Duration)) {
	s = workers.NewSecrets(w.connect(url, 4))
	var mu sync.Mutex
	now := time.Now()
	s.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	return s, func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
}

func TestSecretsFirstUseMakesOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const callers, replicas = 16, 2
	got := make(chan []byte, callers*replicas)
	var wg sync.WaitGroup
	for range replicas {
		s, _ := w.newSecrets(w.URL)
		for range callers {
			wg.Go(func() {
				live, err := s.Live(t.Context(), tenant)
				if assert.NoError(t, err) && assert.Len(t, live, 1) {
					got <- live[0]
				}
			})
		}
	}
	wg.Wait()
	close(got)
	first := <-got
	assert.Len(t, first, 32)
	for secret := range got {
		assert.Equal(t, first, secret)
	}
	assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.signing_secrets"))
}

func TestSecretsAreTheTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.api.TenantCreate(t.Context(), "other", "")
	require.NoError(t, err)
	s, _ := w.newSecrets(w.URL)
	one, err := s.Live(t.Context(), tenant)
	require.NoError(t, err)
	two, err := s.Live(t.Context(), "other")
	require.NoError(t, err)
	assert.NotEqual(t, one, two)
}

func TestSecretsFollowARotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, advance := w.newSecrets(w.URL)
	before, err := s.Live(t.Context(), tenant)
	require.NoError(t, err)
	next := db.Secret{ID: minoots.NewID(), Secret: []byte("0123456789012345678901234567890X")}
	_, err = w.api.SecretRotate(t.Context(), tenant, next, time.Hour)
	require.NoError(t, err)

	advance(4900 * time.Millisecond)
	live, err := s.Live(t.Context(), tenant)
	require.NoError(t, err)
	assert.Equal(t, before, live, "remembered: a delivery makes no query")
	advance(200 * time.Millisecond)
	live, err = s.Live(t.Context(), tenant)
	require.NoError(t, err)
	assert.Equal(t, [][]byte{next.Secret, before[0]}, live, "the new one first, the old one while its grace lasts")
}

func TestSecretsWhenPostgresIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	s, advance := w.newSecrets(p.URL())
	known, err := s.Live(t.Context(), tenant)
	require.NoError(t, err)
	p.Down()
	advance(time.Minute)
	live, err := s.Live(t.Context(), tenant)
	require.NoError(t, err)
	assert.Equal(t, known, live)
	_, err = s.Live(t.Context(), "stranger")
	require.Error(t, err, "nothing is remembered of this one")

	p.Set(faultproxy.Pass)
	next := db.Secret{ID: minoots.NewID(), Secret: []byte("0123456789012345678901234567890X")}
	_, err = w.api.SecretRotate(t.Context(), tenant, next, time.Hour)
	require.NoError(t, err)
	// It asks again soon, and not after the whole time. The pool may have dead
	// connections left, each good for one more failure.
	for range 10 {
		advance(2 * time.Second)
		if live, err = s.Live(t.Context(), tenant); len(live) == 2 {
			break
		}
	}
	require.NoError(t, err)
	require.Equal(t, [][]byte{next.Secret, known[0]}, live)
}

// A stall holds nobody longer than his own patience, and those who know the
// secrets no longer than one try.
func TestSecretsWhenPostgresStalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := faultproxy.New(t, w.URL)
	s, advance := w.newSecrets(p.URL())
	known, err := s.Live(t.Context(), tenant)
	require.NoError(t, err)
	p.Set(faultproxy.Stall)
	advance(time.Minute)

	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = s.Live(impatient, tenant)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	began := time.Now()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			live, err := s.Live(t.Context(), tenant)
			assert.NoError(t, err)
			assert.Equal(t, known, live)
		})
	}
	wg.Wait()
	assert.Less(t, time.Since(began), 6*time.Second, "one wait, and not eight")
	p.Set(faultproxy.Pass)
	p.Cut()
}
