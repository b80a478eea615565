package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWaitPace(t *testing.T) {
	t.Parallel()
	at := time.Now()
	p := waitPace{fallback: waitFallback, lastAll: at}
	assert.False(t, p.next(true, true).After(at), "the first at once")
	for name, c := range map[string]struct {
		look   wanted
		vain   int
		failed bool
		soon   time.Duration // to the next look, if there is something to look at
		idle   time.Duration // if there is not
		poll   time.Duration // if there is not, and it does not listen
	}{
		"all were over":                 {wanted{}, 0, false, waitGap, waitFallback, waitTick},
		"some were not":                 {wanted{}, 1000, false, 60 * time.Millisecond, waitFallback, waitTick},
		"none was, of many":             {wanted{}, 5000, false, 220 * time.Millisecond, waitFallback, 220 * time.Millisecond},
		"all were looked at, on a word": {wanted{all: true}, 5000, false, 220 * time.Millisecond, waitFallback, 220 * time.Millisecond},
		"all were looked at, in turn":   {wanted{all: true, inTurn: true}, 5000, false, waitGap, waitFallback, waitTick},
		"it failed":                     {wanted{all: true}, 0, true, waitPause, waitPause, waitPause},
	} {
		p := waitPace{fallback: waitFallback, lastAll: at}
		p.looked(at, &c.look, c.vain, c.failed)
		next := func(soon, listening bool) time.Duration { return p.next(soon, listening).Sub(at) }
		assert.Equal(t, c.soon, next(true, true), name)
		assert.Equal(t, c.soon, next(true, false), name)
		assert.Equal(t, c.idle, next(false, true), name)
		assert.Equal(t, c.poll, next(false, false), name)
	}
	p.lastAll = at.Add(-time.Hour)
	p.looked(at, &wanted{all: true}, 0, false)
	assert.False(t, p.all(at.Add(waitSweep-1), false))
	assert.True(t, p.all(at.Add(waitSweep), false))
	assert.False(t, p.all(at.Add(waitFallback-1), true))
	assert.True(t, p.all(at.Add(waitFallback), true))
	p.failing = true
	assert.True(t, p.all(at, true), "whatever was to be looked at then")
}
