package bench

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

// The reference timer is what every step creates and every seed writes: a name,
// who asked, one label and one webhook, which is what the service is mostly
// asked for. The limit L1 writes the same values into the same columns and
// indexes, so that its ratio to P1 is about the work around the rows.
const (
	refName        = "resume-research"
	refRequestedBy = "agent:planner"
	refLabel       = "session"
	// refSessions is how many values the label takes: an index entry then stands
	// for many timers, as it does when agents come back.
	refSessions = 1000
)

// refSpec is the i-th reference timer, due at an instant. Its webhook goes to the
// URL with the instant behind, in microseconds, so that the receiver knows how
// late it is without having been told before.
func refSpec(i int, due time.Time, url string) minoots.TimerSpec {
	at := minoots.InstantOf(due)
	return minoots.TimerSpec{
		Name: refName, RequestedBy: refRequestedBy, FireAt: &at,
		Labels:       map[string]string{refLabel: refSession(i)},
		ActionBundle: refBundle(url + strconv.FormatInt(at.UnixMicro(), 10)),
	}
}

// refText is refSpec as JSON, appended to b. The steps that create at full rate send
// this: what a client spends on encoding would be charged to the service, on the same
// cores.
func refText(b []byte, i int, due time.Time, url string) []byte {
	at := minoots.InstantOf(due)
	b = append(b, `{"name":"`+refName+`","requestedBy":"`+refRequestedBy+`","fireAt":"`...)
	b = append(append(b, at.String()...), `","labels":{"`+refLabel+`":"s-`...)
	b = strconv.AppendInt(b, int64(i%refSessions), 10)
	b = append(b, `"},"actionBundle":{"actions":[{"id":"wake","kind":"webhook","parameters":{"url":"`...)
	b = strconv.AppendInt(append(b, url...), at.UnixMicro(), 10)
	return append(b, `"}}]}}`...)
}

// refBatch is a batch of reference timers as JSON, the first of them the i-th.
func refBatch(i, timers int, url string) json.RawMessage {
	b := append(make([]byte, 0, timers*512), `{"timers":[`...)
	for n := range timers {
		if n > 0 {
			b = append(b, ',')
		}
		b = refText(b, i+n, farDue(i+n), url)
	}
	return append(b, "]}"...)
}

func refSession(i int) string { return fmt.Sprintf("s-%d", i%refSessions) }

func refBundle(url string) *minoots.Bundle {
	parameters, _ := json.Marshal(map[string]string{"url": url}) // a map of strings always encodes
	return &minoots.Bundle{Actions: []minoots.Action{{ID: "wake", Kind: minoots.KindWebhook, Parameters: parameters}}}
}

// refStored is the bundle as the API stores it, split where a seed puts the
// microseconds.
func refStored(url string) (before, after string) {
	const mark = "DUE"
	text, _ := json.Marshal(refBundle(url + mark).WithDefaults()) // as above
	before, after, _ = strings.Cut(string(text), mark)
	return before, after
}
