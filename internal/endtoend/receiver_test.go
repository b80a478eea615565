package endtoend_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/minoots/minoots"
)

// receiver is where the webhooks go. Its path says how it answers.
type receiver struct {
	good    string   // URLs; of a destination that only answers well
	slow    string   // of one that takes its time
	failing []string // destinations of which each gets too few failures to be left alone

	release chan struct{} // closed after the kill: slow webhooks are answered

	mu       sync.Mutex
	receipts map[string][]receipt // by webhook-id
}

// receipt is one webhook that came.
type receipt struct {
	at     time.Time
	status int // of the answer
}

const (
	pathOK    = "/ok"    // 200 at once
	pathSlow  = "/slow"  // 200 after the kill
	pathFlaky = "/flaky" // 503 to the first of a webhook-id, then 200
	pathGone  = "/gone"  // 404
)

// failures is how many timers may share a failing destination: the breaker opens
// at the fifth failure in a row.
const failures = 4

func newReceiver(t *testing.T) *receiver {
	r := &receiver{release: make(chan struct{}), receipts: map[string][]receipt{}}
	listen := func() string {
		s := httptest.NewServer(r)
		t.Cleanup(s.Close)
		return s.URL
	}
	r.good, r.slow = listen(), listen()
	for range (counts[kindRetried] + counts[kindDead] + failures - 1) / failures {
		r.failing = append(r.failing, listen())
	}
	return r
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now := time.Now() // before all else
	_, _ = io.Copy(io.Discard, req.Body)
	id := req.Header.Get("webhook-id")
	status := http.StatusOK
	r.mu.Lock()
	switch {
	case req.URL.Path == pathGone:
		status = http.StatusNotFound
	case req.URL.Path == pathFlaky && len(r.receipts[id]) == 0:
		status = http.StatusServiceUnavailable
	}
	r.receipts[id] = append(r.receipts[id], receipt{now, status})
	r.mu.Unlock()
	if req.URL.Path == pathSlow {
		select {
		case <-r.release:
		case <-req.Context().Done():
		}
	}
	w.WriteHeader(status)
}

// received counts the webhooks, and the webhook-ids.
func (r *receiver) received() (all, ids int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, times := range r.receipts {
		all += len(times)
	}
	return all, len(r.receipts)
}

// webhook is an action that calls a URL, and soon again where that may help.
func webhook(id, url string) minoots.Action {
	return minoots.Action{
		ID: id, Kind: minoots.KindWebhook, Parameters: []byte(`{"timeoutMs": 60000, "url": "` + url + `"}`),
		RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 5, BackoffInitialMs: 200},
	}
}
