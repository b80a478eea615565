package kernel_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/kernel"
)

func TestInboxGathersWhatCame(t *testing.T) {
	t.Parallel()
	in := kernel.NewInbox()
	in.Due([]time.Time{after(1)}, false)
	in.Due([]time.Time{after(2)}, true)
	in.Sit(2)
	in.Sit(1)
	<-in.Filled()
	instants, more, seat, moved := in.Take()
	assert.Equal(t, []time.Time{after(1), after(2)}, instants)
	assert.True(t, more)
	assert.True(t, moved)
	assert.Equal(t, 1, seat, "the last one counts")

	select {
	case <-in.Filled():
		t.Fatal("all was taken")
	default:
	}
	instants, more, _, moved = in.Take()
	assert.Empty(t, instants)
	assert.False(t, more)
	assert.False(t, moved)
}

func TestInboxIsBoundedAndKeepsTheEarliest(t *testing.T) {
	t.Parallel()
	in := kernel.NewInbox()
	for i := range 2 * kernel.MaxNews {
		in.Due([]time.Time{after(time.Duration(2*kernel.MaxNews-i) * time.Second)}, false)
	}
	instants, more, _, _ := in.Take()
	require.Len(t, instants, kernel.MaxNews)
	assert.True(t, more, "what is missing must be read")
	assert.Equal(t, after(time.Second), slices.MinFunc(instants, time.Time.Compare))
}

func TestInboxLosesNothingBetweenMany(t *testing.T) {
	t.Parallel()
	in := kernel.NewInbox()
	const writers, each = 8, 200
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				in.Due([]time.Time{epoch}, false)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	got := 0
	for got < writers*each {
		select {
		case <-in.Filled():
		case <-time.After(5 * time.Second):
			t.Fatalf("%d of %d, and no token", got, writers*each)
		}
		instants, _, _, _ := in.Take()
		got += len(instants)
	}
	<-done
	assert.Equal(t, writers*each, got)
}
