// Package demo schedules the timers of examples/, receives their webhooks and
// judges what came: the main job of the service, seen from outside. It knows the
// service by its REST API and by what reaches the receiver, and nothing else.
//
// plan.go says what is scheduled, receiver.go takes the webhooks, judge.go finds
// every fault, report.go shows the result; demo.go is the order of events.
package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/examples"
)

// shape is one example: how many timers are made of it and what is expected.
type shape struct {
	file  string // in examples/, without .json
	count int
	// step is added to the duration, or to the instant, once more for each
	// further timer.
	step time.Duration
	// instant is when {{instant}} is, from the start of the demo.
	instant time.Duration
	// batch schedules them with one request, else with one each.
	batch bool
	// fails is how many times the receiver refuses each delivery.
	fails  int
	cancel bool
}

// plan has the shapes in the order in which they are scheduled: batches first,
// which take no time, so that the instants are still to come. All but the burst
// are spread over the seconds, as timers are.
var plan = []shape{
	{file: "burst", count: 200, instant: 4 * time.Second, batch: true},
	{file: "instant", count: 60, instant: 2 * time.Second, step: 70 * time.Millisecond, batch: true},
	{file: "reminder", count: 120, step: 35 * time.Millisecond, batch: true},
	{file: "cancelled", count: 1, cancel: true},
	{file: "retry", count: 1, fails: 2},
	{file: "resume-agent", count: 30, step: 100 * time.Millisecond},
	{file: "timeout-ms", count: 60, step: 70 * time.Millisecond},
	{file: "bundle-in-order", count: 6, step: 500 * time.Millisecond},
	{file: "bundle-at-once", count: 4, step: 700 * time.Millisecond},
	{file: "custom-request", count: 10, step: 300 * time.Millisecond},
	{file: "spread", count: 20},
	{file: "wait-only", count: 6, step: 400 * time.Millisecond},
}

// label marks the timers of one run of the demo.
const label = "demo"

// specs makes the timers of a shape.
func (s shape) specs(receiver, run string, start time.Time) ([]minoots.TimerSpec, error) {
	text, err := examples.FS.ReadFile(s.file + ".json")
	if err != nil {
		return nil, fmt.Errorf("read example: %w", err)
	}
	filled := strings.NewReplacer(
		"{{receiver}}", receiver,
		"{{instant}}", minoots.InstantOf(start.Add(s.instant)).String(),
	).Replace(string(text))
	specs := make([]minoots.TimerSpec, s.count)
	for i := range specs {
		spec := &specs[i]
		dec := json.NewDecoder(bytes.NewReader([]byte(filled)))
		dec.DisallowUnknownFields()
		if err := dec.Decode(spec); err != nil {
			return nil, fmt.Errorf("read example %s.json: %w", s.file, err)
		}
		later := time.Duration(i) * s.step
		if spec.Duration != nil {
			*spec.Duration += minoots.Duration(later)
		}
		if spec.FireAt != nil {
			spec.FireAt.Time = spec.FireAt.Add(later)
		}
		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}
		spec.Labels[label] = run
	}
	return specs, nil
}

// expectation is what must become of one timer.
type expectation struct {
	shape   string
	timer   minoots.Timer // as it was answered when it was made
	actions int           // deliveries that must arrive
	fails   int
	cancel  bool
}

func (s shape) expect(t minoots.Timer) expectation {
	e := expectation{shape: s.file, timer: t, fails: s.fails, cancel: s.cancel}
	if t.ActionBundle != nil && !s.cancel {
		e.actions = len(t.ActionBundle.Actions)
	}
	return e
}
