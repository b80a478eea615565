package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// metric reads one without labels.
func (b *bundle) metric(name string) float64 {
	b.t.Helper()
	families, err := b.registry.Gather()
	require.NoError(b.t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
		}
	}
	b.t.Fatalf("no metric %s", name)
	return 0
}

func (b *bundle) waiting(n int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.metric("minoots_waiters") == float64(n) }, time.Minute, 5*time.Millisecond)
}

func TestWaitEndsWithTheTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const timers, each = 20, 5
	var g sync.WaitGroup
	var ids []minoots.ID
	for range timers {
		id := b.create(`{"duration": "1h"}`).ID
		ids = append(ids, id)
		for range each {
			g.Go(func() {
				var timer minoots.Timer
				b.call("GET", "/v1/timers/"+id.String()+"/wait?timeout=4m", "").is(http.StatusOK).into(&timer)
				assert.Equal(t, minoots.StatusCancelled, timer.Status)
				assert.Equal(t, id, timer.ID)
			})
		}
	}
	b.waiting(timers * each)
	looks := b.metric("minoots_wait_looks_total")
	began := time.Now()
	for _, id := range ids {
		b.call("POST", "/v1/timers/"+id.String()+"/cancel", "").is(http.StatusOK)
	}
	g.Wait()
	b.waiting(0)
	assert.LessOrEqual(t, b.metric("minoots_wait_looks_total")-looks, 10*time.Since(began).Seconds()+2, "one statement for all")
}

func TestWaitIsUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(`{"duration": "1h"}`).ID.String()
	for _, timeout := range []string{"0", "0s", "50ms"} {
		a := b.call("GET", "/v1/timers/"+id+"/wait?timeout="+timeout, "").is(http.StatusNoContent)
		assert.Empty(t, a.body)
	}
	for timeout, says := range map[string]string{"301": "from 0 to 5m", "-1s": "from 0 to 5m", "soon": "a duration such as 30s", "6m": "from 0 to 5m"} {
		assert.Contains(t, b.call("GET", "/v1/timers/"+id+"/wait?timeout="+timeout, "").is(422).problem().Detail, says)
	}
	b.call("GET", "/v1/timers/"+minoots.NewID().String()+"/wait", "").is(http.StatusNotFound)
	b.call("GET", "/v1/timers/"+id+"/wait", "", "X-Api-Key", b.other).is(http.StatusNotFound)
	b.call("POST", "/v1/timers/"+id+"/cancel", "").is(http.StatusOK)
	b.call("GET", "/v1/timers/"+id+"/wait", "").is(http.StatusOK)
}

// A client that goes away is no waiter any more, and one that waits when the
// replica stops is answered.
func TestWaitersLeave(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(`{"duration": "1h"}`).ID.String()
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		r := httptest.NewRequestWithContext(ctx, "GET", "/v1/timers/"+id+"/wait?timeout=4m", nil)
		r.Header.Set("X-Api-Key", b.admin)
		b.handler.ServeHTTP(httptest.NewRecorder(), r)
	}()
	b.waiting(1)
	cancel()
	<-gone
	b.waiting(0)

	answered := make(chan int)
	go func() { answered <- b.call("GET", "/v1/timers/"+id+"/wait?timeout=4m", "").StatusCode }()
	b.waiting(1)
	b.api.Leave()
	assert.Equal(t, http.StatusNoContent, <-answered)
	b.call("GET", "/v1/timers/"+id+"/wait?timeout=4m", "").is(http.StatusNoContent)
}
