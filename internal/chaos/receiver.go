package chaos

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// receiver is where the webhooks go. A good one's path is /DUE/HOLD: the first due
// instant and how long the receiver takes to answer, both in microseconds. A timer
// that comes back is due recurringGap later each time.
type receiver struct {
	url    string
	server *http.Server
	other  http.Handler  // for all other paths, if a scenario has some
	over   chan struct{} // closed when nobody waits any more

	mu         sync.Mutex
	deliveries map[string]*delivery // by webhook-id
}

// delivery is one action of one firing, as it arrived.
type delivery struct {
	due      time.Time
	arrivals []time.Time
	open     int // being answered now
	overlaps int // arrivals while another was
}

func startReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		return nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	r := &receiver{url: "http://" + listener.Addr().String(), over: make(chan struct{}), deliveries: map[string]*delivery{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = r.server.Serve(listener) }() // ends with close
	return r, nil
}

func (r *receiver) close() error {
	close(r.over)
	return r.server.Close()
}

// urlFor is where a timer's webhooks go.
func (r *receiver) urlFor(due time.Time, hold time.Duration) string {
	return fmt.Sprintf("%s/%d/%d", r.url, due.UnixMicro(), hold.Microseconds())
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now := time.Now() // before all else
	micros, held, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	due, err := strconv.ParseInt(micros, 10, 64)
	hold, err2 := strconv.ParseInt(held, 10, 64)
	if err != nil || err2 != nil {
		if r.other != nil {
			r.other.ServeHTTP(w, req)
		}
		return
	}
	id := req.Header.Get("webhook-id")
	d := r.arrived(id, time.UnixMicro(due).Add(time.Duration(occurrenceOf(id)-1)*recurringGap), now)
	if hold > 0 {
		_, _ = io.Copy(io.Discard, req.Body) // the server notices that the sender is gone only after the body
		select {
		case <-time.After(time.Duration(hold) * time.Microsecond):
		case <-r.over:
		case <-req.Context().Done(): // the sender is gone
		}
	}
	r.mu.Lock()
	d.open--
	r.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// occurrenceOf reads the number of the occurrence in a webhook-id, 1 if there is
// none: TIMER_OCCURRENCE_ACTION.
func occurrenceOf(id string) int {
	_, rest, _ := strings.Cut(id, "_")
	number, _, _ := strings.Cut(rest, "_")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 1
	}
	return n
}

func (r *receiver) arrived(id string, due, at time.Time) *delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.deliveries[id]
	if d == nil {
		d = &delivery{due: due}
		r.deliveries[id] = d
	}
	d.arrivals = append(d.arrivals, at)
	if d.open > 0 {
		d.overlaps++
	}
	d.open++
	return d
}

// has tells whether a delivery has arrived.
func (r *receiver) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.deliveries[id] != nil
}

// all gives a copy of what has arrived.
func (r *receiver) all() map[string]delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]delivery, len(r.deliveries))
	for id, d := range r.deliveries {
		c := *d
		c.arrivals = append([]time.Time(nil), d.arrivals...)
		all[id] = c
	}
	return all
}
