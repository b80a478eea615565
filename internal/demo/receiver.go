package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/minoots/minoots"
)

// arrival is one request that reached the receiver.
type arrival struct {
	webhookID string
	timer     minoots.ID
	attempt   int
	at        time.Time
	dueAt     time.Time // what the body says; zero if the body is the caller's own
	accepted  bool      // answered with 2xx
	badSign   bool
	fault     string // what is wrong with it, but for the signature
}

// receiver is the other side: an HTTP server as a user would write one, with the
// Standard Webhooks library for the signature.
type receiver struct {
	url      string
	secrets  []*standardwebhooks.Webhook
	now      func() time.Time
	listener net.Listener
	server   *http.Server
	ended    chan struct{}

	mu       sync.Mutex
	fails    map[minoots.ID]int // refusals still to come, by timer
	arrivals []arrival
}

// newReceiver listens on a free port of the loopback address.
func newReceiver(ctx context.Context, secrets [][]byte, now func() time.Time) (*receiver, error) {
	r := &receiver{now: now, fails: map[minoots.ID]int{}, ended: make(chan struct{})}
	for _, secret := range secrets {
		w, err := standardwebhooks.NewWebhookRaw(secret)
		if err != nil {
			return nil, fmt.Errorf("read signing secret: %w", err)
		}
		r.secrets = append(r.secrets, w)
	}
	var err error
	if r.listener, err = new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	r.url = "http://" + r.listener.Addr().String()
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(r.ended)
		_ = r.server.Serve(r.listener)
	}()
	return r, nil
}

// close ends the server and waits until it has ended.
func (r *receiver) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		_ = r.server.Close()
	}
	<-r.ended
}

// refuse has the first deliveries of a timer fail.
func (r *receiver) refuse(timer minoots.ID, times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails[timer] = times
}

// got gives what has arrived so far.
func (r *receiver) got() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]arrival(nil), r.arrivals...)
}

// ServeHTTP takes one webhook.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	at := r.now() // before anything else: this is when it arrived
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	a := read(req, body)
	a.at = at
	if err != nil {
		a.fault = "its body cannot be read: " + err.Error()
	}
	a.badSign = !r.verifies(body, req.Header)
	status := r.answer(&a)
	r.mu.Lock()
	r.arrivals = append(r.arrivals, a)
	r.mu.Unlock()
	w.WriteHeader(status)
}

// answer decides what to say.
func (r *receiver) answer(a *arrival) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case a.badSign:
		return http.StatusUnauthorized
	case r.fails[a.timer] > 0:
		r.fails[a.timer]--
		return http.StatusServiceUnavailable
	default:
		a.accepted = true
		return http.StatusNoContent
	}
}

func (r *receiver) verifies(body []byte, header http.Header) bool {
	for _, secret := range r.secrets {
		if secret.Verify(body, header) == nil {
			return true
		}
	}
	return false
}

// read takes from a request what it says of itself. It is an own reading of the
// contract and shares no code with the sender.
func read(req *http.Request, body []byte) arrival {
	a := arrival{webhookID: req.Header.Get("webhook-id")}
	var err error
	if a.timer, err = minoots.ParseID(req.Header.Get("x-minoots-timer-id")); err != nil {
		a.fault = "x-minoots-timer-id is missing or no id"
	}
	if a.attempt, err = strconv.Atoi(req.Header.Get("x-minoots-attempt")); err != nil {
		a.fault = "x-minoots-attempt is missing or no number"
	}
	var event struct {
		Type string `json:"type"`
		Data struct {
			Timer struct {
				ID       minoots.ID `json:"id"`
				TenantID string     `json:"tenantId"`
			} `json:"timer"`
			Firing struct {
				DueAt minoots.Instant `json:"dueAt"`
			} `json:"firing"`
			Attempt int `json:"attempt"`
		} `json:"data"`
	}
	if strings.HasPrefix(req.URL.Path, "/prices/") { // a body of the caller's own
		if req.Method != http.MethodPut || req.Header.Get("X-Shop") != "berlin" || !strings.Contains(string(body), "1999") {
			a.fault = "it is not the request that the timer describes"
		}
		return a
	}
	switch err := json.Unmarshal(body, &event); {
	case err != nil:
		a.fault = "its body is not the contract's: " + err.Error()
	case event.Type != "timer.fired" || event.Data.Timer.ID != a.timer || event.Data.Attempt != a.attempt ||
		event.Data.Timer.TenantID != req.Header.Get("x-minoots-tenant-id"):
		a.fault = "its body and its headers do not say the same"
	}
	a.dueAt = event.Data.Firing.DueAt.Time
	return a
}
