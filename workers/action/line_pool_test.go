package action

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var somewhere = origin{host: "receiver.test"}

// piped is the pool's way to connect, to a pipe: what the pool does with lines has
// nothing to do with where they lead.
func piped(opened *atomic.Int64) func(context.Context, origin) (*line, error) {
	return func(_ context.Context, to origin) (*line, error) {
		opened.Add(1)
		conn, _ := net.Pipe()
		return &line{Conn: conn, to: to, cut: func() { _ = conn.Close() }, silent: silence(conn)}, nil
	}
}

func closed(l *line) bool { return l.SetDeadline(time.Time{}) != nil }

// A dial that outlasts whoever asked for it serves the next.
func TestLineIsDialledForTheNext(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	gate := make(chan struct{})
	p := newLinePool(func(ctx context.Context, to origin) (*line, error) {
		<-gate
		return piped(&opened)(ctx, to)
	}, 1, 8)
	defer p.close()
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	time.AfterFunc(time.Millisecond, func() { cancel(gone) })
	_, err := p.get(ctx, somewhere, false)
	require.ErrorIs(t, err, gone)
	close(gate)
	l, err := p.get(t.Context(), somewhere, false)
	require.NoError(t, err)
	assert.EqualValues(t, 1, opened.Load())
	p.drop(l)
	assert.Empty(t, p.origins)
}

// With as many lines as there may be, one waits for a line that others are done
// with, or for the room that they leave.
func TestLinesAreBoundedPerOrigin(t *testing.T) {
	t.Parallel()
	for name, done := range map[string]func(*linePool, *line){"put": (*linePool).put, "drop": (*linePool).drop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var opened atomic.Int64
			p := newLinePool(piped(&opened), 1, 8)
			defer p.close()
			first, err := p.get(t.Context(), somewhere, false)
			require.NoError(t, err)

			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			_, err = p.get(ctx, somewhere, false)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			elsewhere, err := p.get(t.Context(), origin{host: "other.test"}, false)
			require.NoError(t, err, "others have their own")
			p.put(elsewhere)

			got := make(chan *line)
			go func() {
				l, err := p.get(t.Context(), somewhere, false)
				assert.NoError(t, err)
				got <- l
			}()
			require.Eventually(t, func() bool {
				p.mu.Lock()
				defer p.mu.Unlock()
				return len(p.origins[somewhere].waiting) == 1
			}, time.Minute, time.Millisecond)
			done(p, first)
			second := <-got
			assert.Equal(t, name == "put", first == second)
			assert.Equal(t, name == "drop", closed(first))
			p.put(second)
		})
	}
}

// A new line is made in the place of an idle one if there is no other.
func TestLineIsNewWhenAsked(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	p := newLinePool(piped(&opened), 1, 8)
	defer p.close()
	first, err := p.get(t.Context(), somewhere, false)
	require.NoError(t, err)
	p.put(first)
	second, err := p.get(t.Context(), somewhere, true)
	require.NoError(t, err)
	assert.NotSame(t, first, second)
	assert.True(t, closed(first))
	assert.False(t, second.kept)
	p.put(second)
	assert.True(t, second.kept)
}

// The line that has been idle longest makes room for another.
func TestIdleLinesAreBounded(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	p := newLinePool(piped(&opened), 8, 2)
	var all []*line
	for _, host := range []string{"a", "b", "c"} {
		l, err := p.get(t.Context(), origin{host: host}, false)
		require.NoError(t, err)
		p.put(l)
		all = append(all, l)
	}
	assert.True(t, closed(all[0]))
	assert.False(t, closed(all[1]))
	assert.Len(t, p.origins, 2)
	p.close()
	assert.True(t, closed(all[1]) && closed(all[2]))
	assert.Empty(t, p.origins)
}

func TestIdleLinesAreClosedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var opened atomic.Int64
		p := newLinePool(piped(&opened), 8, 8)
		defer p.close()
		first, err := p.get(t.Context(), somewhere, false)
		require.NoError(t, err)
		second, err := p.get(t.Context(), somewhere, false)
		require.NoError(t, err)
		p.put(first)
		time.Sleep(idleTimeout / 2) // of the bubble's clock
		p.put(second)
		time.Sleep(idleTimeout/2 + time.Millisecond)
		synctest.Wait()
		assert.True(t, closed(first))
		assert.False(t, closed(second))
		time.Sleep(idleTimeout / 2)
		synctest.Wait()
		assert.True(t, closed(second))
		assert.Empty(t, p.origins)
		assert.Nil(t, p.sweeper, "nothing ticks at rest")
	})
}

// Whatever happens to lines, their number is never too high, and none is forgotten.
func TestLinesAreCounted(t *testing.T) {
	t.Parallel()
	const bound = 3
	var opened, open, most atomic.Int64
	refused := errors.New("refused")
	p := newLinePool(func(ctx context.Context, to origin) (*line, error) {
		if rand.IntN(4) == 0 {
			return nil, refused
		}
		for now := open.Add(1); now > most.Load(); {
			most.Store(now)
		}
		l, err := piped(&opened)(ctx, to)
		conn, once := l.Conn, sync.Once{}
		end := func() { once.Do(func() { open.Add(-1); _ = conn.Close() }) }
		l.cut, l.Conn = end, counted{conn, end}
		return l, err
	}, bound, 2)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(200))*time.Microsecond+50*time.Microsecond)
				l, err := p.get(ctx, somewhere, rand.IntN(3) == 0)
				switch {
				case err != nil:
					assert.True(t, errors.Is(err, refused) || errors.Is(err, context.DeadlineExceeded), "%v", err)
				case rand.IntN(3) == 0:
					p.drop(l)
				default:
					p.put(l)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, most.Load(), int64(bound))
	p.close()
	require.Eventually(t, func() bool { // dials that nobody waits for
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.origins) == 0
	}, time.Minute, time.Millisecond)
	assert.Zero(t, open.Load())
}

// counted tells when it is closed.
type counted struct {
	net.Conn
	end func()
}

func (c counted) Close() error {
	c.end()
	return nil
}
