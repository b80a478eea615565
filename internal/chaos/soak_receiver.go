package chaos

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

// How a receiver behaves.
const (
	behaviourGood  = "good"  // answers 204
	behaviourFlaky = "flaky" // answers 503 at first
	behaviourDown  = "down"  // answers 503
	behaviourGone  = "gone"  // answers 410, which is final
)

// asksAgain are those who are sent the same again, and so say.
var asksAgain = []string{behaviourFlaky, behaviourDown, mannerLate, mannerSilent}

// maxActions bounds a bundle of a soak's. Action n has the id "n".
const maxActions = 3

// told is what the receiver reads of a body.
type told struct {
	Data struct {
		Firing  struct{ DueAt minoots.Instant }
		Attempt int
	}
	Acknowledgement *minoots.Acknowledgement // asked of an agent
}

// maxOccurrences bounds what is believed of a webhook-id: a day of seconds.
const maxOccurrences = 86_400

// ServeHTTP receives a webhook, whose path is /soak/BEHAVIOUR/HOLD, with the
// microseconds that the receiver takes, or a prompt, of which BEHAVIOUR is the
// agent's manner.
func (l *ledger) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now := time.Now() // before all else
	path := strings.Split(req.URL.Path, "/")
	webhook := strings.Split(req.Header.Get("webhook-id"), "_")
	if len(path) != 4 || path[1] != "soak" || len(webhook) != 3 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	occurrence, err := strconv.Atoi(webhook[1])
	action, err2 := strconv.Atoi(webhook[2])
	hold, err3 := strconv.ParseInt(path[3], 10, 64)
	body, err4 := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	var said told
	if err != nil || err2 != nil || err3 != nil || err4 != nil || json.Unmarshal(body, &said) != nil ||
		occurrence < 1 || occurrence > maxOccurrences || action < 0 || action >= maxActions {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	behaviour := path[2]
	came := arrival{occurrence: occurrence, action: action, due: said.Data.Firing.DueAt.Time, at: now}
	first := l.arrive(webhook[0], came, slices.Contains(asksAgain, behaviour))
	if said.Acknowledgement != nil && l.agents != nil {
		l.agents.wake(prompted{webhook[0], came, behaviour, said.Data.Attempt, *said.Acknowledgement})
	}
	if hold > 0 {
		select {
		case <-l.over:
		case <-req.Context().Done(): // the sender is gone
		case <-time.After(time.Duration(hold) * time.Microsecond):
		}
	}
	switch {
	case behaviour == behaviourGone:
		w.WriteHeader(http.StatusGone)
	case behaviour == behaviourDown, behaviour == behaviourFlaky && first:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
