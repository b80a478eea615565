package chaos

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/minoots/minoots"
)

// usual is one to three webhooks, to receivers of all sorts. The lock is held, as
// for all of these.
func (l *soakLoad) usual(d *draft) {
	behaviour, hold := behaviourGood, time.Duration(0)
	switch n := l.rng.IntN(100); {
	case n < 7:
		behaviour = behaviourFlaky
	case n < 10:
		behaviour = behaviourGone
	case n < 15:
		hold = 300 * time.Millisecond
	case n < 16:
		hold = 3 * time.Second
	}
	d.plan.actions = 1
	switch n := l.rng.IntN(10); {
	case n < 1:
		d.plan.actions = 3
	case n < 3:
		d.plan.actions = 2
	}
	b := l.bundle(d)
	for i := range d.plan.actions {
		b.Actions = append(b.Actions, l.webhook(i, behaviour, hold))
	}
	if d.plan.actions == 1 && behaviour == behaviourGood && l.rng.IntN(20) == 0 {
		b.Compensation = append(b.Compensation, l.webhook(1, behaviourGood, 0)) // for nothing: it is not to run
	}
}

// failing is a bundle whose first action fails for good, at once or after its
// attempts, and which then stops or goes on, and compensates.
func (l *soakLoad) failing(d *draft) {
	b := l.bundle(d)
	b.Concurrency = 1
	fails := l.webhook(0, behaviourGone, 0)
	if l.rng.IntN(2) == 0 {
		fails = l.webhook(0, behaviourDown, 0)
		fails.RetryPolicy = &minoots.RetryPolicy{MaxAttempts: 2, BackoffInitialMs: 200}
	}
	goesOn, stops, compensates := l.webhook(1, behaviourGood, 0), l.webhook(2, behaviourGood, 0), l.webhook(1, behaviourGood, 0)
	if l.rng.IntN(2) == 0 {
		b.OnFailure = minoots.OnFailureStop
		b.Actions, d.plan.actions = []minoots.Action{fails, stops}, 2
	} else {
		compensates = l.webhook(2, behaviourFlaky, 0)
		b.Actions, d.plan.actions = []minoots.Action{fails, goesOn}, 3
	}
	b.Compensation = []minoots.Action{compensates}
}

// prompt wakes an agent, whose manner says whether there is an action besides: the
// escalation of one who says nothing, the compensation for one who fails.
func (l *soakLoad) prompt(d *draft) {
	manner := manners[l.rng.IntN(len(manners))]
	b := l.bundle(d)
	d.spec.AgentBinding = &minoots.AgentBinding{
		Adapter: minoots.AdapterCustom, Target: fmt.Sprintf("%s/soak/%s/0", l.world.receiver.url, manner),
		AcknowledgementTimeoutMs: agentTime.Milliseconds(),
	}
	asks := minoots.Action{ID: "0", Kind: minoots.KindAgentPrompt, Parameters: json.RawMessage(`{"prompt": "Go on."}`)}
	then := l.webhook(1, behaviourGood, 0)
	d.plan.actions, d.plan.word = 1, true
	switch manner {
	case mannerSilent:
		asks.Escalation = &minoots.Escalation{AfterAttempts: 1 + l.rng.IntN(2), EscalatesTo: &then}
		d.plan.actions, d.plan.word = 2, false
	case mannerFails:
		b.Compensation = []minoots.Action{then}
		d.plan.actions = 2
	}
	b.Actions = []minoots.Action{asks}
}

// bundle is an empty one, with the policy of all.
func (l *soakLoad) bundle(d *draft) *minoots.Bundle {
	d.spec.ActionBundle = &minoots.Bundle{
		Concurrency: 1 + l.rng.IntN(2), RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 8, BackoffInitialMs: 200, BackoffMaxMs: 2000},
	}
	return d.spec.ActionBundle
}

// webhook is an action to a receiver that behaves so, and takes its time.
func (l *soakLoad) webhook(number int, behaviour string, hold time.Duration) minoots.Action {
	url := fmt.Sprintf("%s/soak/%s/%d", l.world.receiver.url, behaviour, hold.Microseconds())
	parameters, _ := json.Marshal(map[string]string{"url": url}) // a map of strings always encodes
	return minoots.Action{ID: strconv.Itoa(number), Kind: minoots.KindWebhook, Parameters: parameters}
}
