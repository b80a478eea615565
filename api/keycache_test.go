package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// directory stands for the database.
type directory struct {
	asked   atomic.Int32
	answers chan struct{} // if not nil, each look-up takes one
	err     error
}

func (d *directory) find(ctx context.Context, _ []byte) (minoots.Principal, error) {
	d.asked.Add(1)
	if d.answers != nil {
		select {
		case <-d.answers:
		case <-ctx.Done():
			return minoots.Principal{}, ctx.Err()
		}
	}
	return minoots.Principal{TenantID: "acme", KeyID: minoots.ID{1}}, d.err
}

func TestKeyCacheBelievesForFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, err := range []error{nil, minoots.Errorf(minoots.CodeNotFound, "no such row")} {
			d := &directory{err: err}
			c := newKeyCache(d.find)
			for range 3 {
				_, got := c.find(t.Context(), "key")
				require.Equal(t, err, got)
				time.Sleep(keyLifetime / 3) // the bubble's time: it passes at once
			}
			assert.EqualValues(t, 1, d.asked.Load())
			time.Sleep(time.Second)
			_, _ = c.find(t.Context(), "key")
			assert.EqualValues(t, 2, d.asked.Load())
		}
	})
}

func TestKeyCacheAsksOnceForABurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{answers: make(chan struct{})}
		c := newKeyCache(d.find)
		first, leave := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = c.find(first, "key") })
		synctest.Wait()
		leave() // the one that asked goes away; the others still get the answer
		for range 10 {
			wait.Go(func() {
				p, err := c.find(t.Context(), "key")
				assert.NoError(t, err)
				assert.Equal(t, "acme", p.TenantID)
			})
		}
		synctest.Wait()
		d.answers <- struct{}{}
		wait.Wait()
		assert.EqualValues(t, 1, d.asked.Load())
	})
}

func TestKeyCacheForgetsFailures(t *testing.T) {
	t.Parallel()
	d := &directory{err: errors.New("away")}
	c := newKeyCache(d.find)
	for range 2 {
		_, err := c.find(t.Context(), "key")
		require.Error(t, err)
	}
	assert.EqualValues(t, 2, d.asked.Load())
	assert.Empty(t, c.entries)
}

func TestKeyCacheForgetsOneKey(t *testing.T) {
	t.Parallel()
	d := new(directory)
	c := newKeyCache(d.find)
	_, _ = c.find(t.Context(), "key")
	c.forget(minoots.ID{2})
	assert.Len(t, c.entries, 1)
	c.forget(minoots.ID{1})
	assert.Empty(t, c.entries)
}

func TestKeyCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newKeyCache(new(directory).find)
	for i := range keyCacheSize + 100 {
		_, _ = c.find(t.Context(), fmt.Sprint("key", i))
	}
	assert.Len(t, c.entries, keyCacheSize)
}
