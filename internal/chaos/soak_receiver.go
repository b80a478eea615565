package chaos

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// How a receiver behaves.
const (
	behaviourGood  = "good"  // answers 204
	behaviourFlaky = "flaky" // answers 503 at first
	behaviourGone  = "gone"  // answers 410, which is final
)

// maxActions bounds a bundle of a soak's. Action n has the id "n".
const maxActions = 3

// ServeHTTP receives a webhook, whose path is /soak/BEHAVIOUR/HOLD, with the
// microseconds that the receiver takes.
func (l *ledger) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now := time.Now() // before all else
	path := strings.Split(req.URL.Path, "/")
	webhook := strings.Split(req.Header.Get("webhook-id"), "_")
	if len(path) != 4 || path[1] != "soak" || len(webhook) != 3 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	action, err := strconv.Atoi(webhook[2])
	hold, err2 := strconv.ParseInt(path[3], 10, 64)
	if err != nil || err2 != nil || action < 0 || action >= maxActions {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	first := l.arrive(webhook[0], action, path[2], now)
	if hold > 0 {
		select {
		case <-l.over:
		case <-req.Context().Done(): // the sender is gone
		case <-time.After(time.Duration(hold) * time.Microsecond):
		}
	}
	switch {
	case path[2] == behaviourGone:
		w.WriteHeader(http.StatusGone)
	case path[2] == behaviourFlaky && first:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
