package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// receiver is the server that all webhooks go to. It checks nothing but when
// they come and whether they come again. A webhook's path is /RUN/MICROSECONDS:
// the run that waits for it, and its due instant.
type receiver struct {
	base   string // the URL, without a slash at its end
	door   *door
	server *http.Server // of what the door does not answer itself
	mu     sync.RWMutex
	runs   map[string]*run
}

// startReceiver listens. An address without a port gets a free one; reach is how
// the replicas reach it, if not at that address.
func startReceiver(ctx context.Context, addr, reach string) (*receiver, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	r := &receiver{base: strings.TrimSuffix(reach, "/"), runs: map[string]*run{}}
	if r.base == "" {
		r.base = "http://" + listener.Addr().String()
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	r.door = openDoor(listener, r.note)
	go r.door.serve()                          // these end with close
	go func() { _ = r.server.Serve(r.door) }() //
	return r, nil
}

func (r *receiver) close() error {
	r.forget()
	return r.server.Close() // and with it the door
}

// url is where webhooks of a run go; the due instant comes after it.
func (r *receiver) url(run string) string { return r.base + "/" + run + "/" }

// expect starts a run of so many timers.
func (r *receiver) expect(name string, timers int) *run {
	n := &run{
		name: name, url: r.url(name), want: timers,
		seen: make(map[string]struct{}, timers), late: make([]time.Duration, 0, timers),
		full: make(chan struct{}), over: make(chan struct{}),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs[name] = n
	return n
}

// forget ends all runs: what still comes is answered and not looked at.
func (r *receiver) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.runs {
		close(n.over)
	}
	clear(r.runs)
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now := time.Now() // before all else
	if n, due, ok := r.runOf(req.URL.Path); ok {
		n.arrived(req.Header.Get("webhook-id"), due, now)
		n.dawdle(req.Context())
	}
	w.WriteHeader(http.StatusNoContent)
}

// note takes note of a webhook that the door has read, unless it is to be answered
// late.
func (r *receiver) note(path, id string, at time.Time) bool {
	n, due, ok := r.runOf(path)
	if ok && n.delay > 0 {
		return false
	}
	if ok {
		n.arrived(id, due, at)
	}
	return true
}

// runOf finds the run that a webhook's path tells, and its due instant.
func (r *receiver) runOf(path string) (n *run, due time.Time, ok bool) {
	name, micros, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	r.mu.RLock()
	n = r.runs[name]
	r.mu.RUnlock()
	at, err := strconv.ParseInt(micros, 10, 64)
	return n, time.UnixMicro(at), n != nil && err == nil
}

// run is the webhooks of one measurement.
type run struct {
	name  string
	url   string
	want  int
	delay time.Duration // before each answer; to be set before the first timer is due

	mu      sync.Mutex
	seen    map[string]struct{} // by webhook-id
	late    []time.Duration     // of the first delivery of each
	last    time.Time           // when the latest of those came
	repeats int
	full    chan struct{} // closed when all have come
	over    chan struct{} // closed when nobody waits any more
}

// arrived takes note of a webhook.
func (n *run) arrived(id string, due, at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, again := n.seen[id]; again {
		n.repeats++
		return
	}
	n.seen[id] = struct{}{}
	n.late = append(n.late, at.Sub(due))
	n.last = at
	if len(n.seen) == n.want {
		close(n.full)
	}
}

// dawdle is a receiver that is slow to answer.
func (n *run) dawdle(ctx context.Context) {
	if n.delay == 0 {
		return
	}
	select {
	case <-time.After(n.delay):
	case <-n.over:
	case <-ctx.Done():
	}
}

// came gives how many have come and when the last did.
func (n *run) came() (int, time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.seen), n.last
}

// errLost says that timers were lost: the one thing that a bench of this
// service must not let pass.
var errLost = errors.New("timers were lost")

// wait waits until all have come. A timer that has not, long after it was due,
// is lost.
func (n *run) wait(ctx context.Context, lastDue time.Time, patience time.Duration) error {
	for {
		select {
		case <-n.full:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
		came, last := n.came()
		if last.Before(lastDue) {
			last = lastDue
		}
		if time.Since(last) > patience {
			return fmt.Errorf("%w: of %s only %s were received, and none for %s",
				errLost, number(float64(n.want)), number(float64(came)), patience)
		}
	}
}

// lateness sums up what has come.
func (n *run) lateness() Lateness { return n.latenessAtLeast(0) }

// latenessAtLeast takes what has not come for as late as that.
func (n *run) latenessAtLeast(unseen time.Duration) Lateness {
	n.mu.Lock()
	defer n.mu.Unlock()
	samples := slices.Clone(n.late)
	missing := n.want - len(samples)
	if unseen > 0 {
		samples = append(samples, slices.Repeat([]time.Duration{unseen}, missing)...)
	}
	l := latenessOf(samples)
	l.Repeats, l.Unseen = n.repeats, missing
	return l
}
