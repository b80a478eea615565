package chaos

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/rig"
)

// agentTime is how long an agent has to acknowledge.
const agentTime = time.Second

// The manners of agents.
const (
	mannerPrompt = "prompt" // acknowledges in time
	mannerEager  = "eager"  // before the receiver has answered, or just then
	mannerBusy   = "busy"   // asks for more time, and acknowledges past the first deadline
	mannerLate   = "late"   // too late at first, and in time when it is asked again
	mannerFails  = "fails"  // says that it could not, for good
	mannerSilent = "silent" // says nothing: somebody else is to hear of it
)

var manners = []string{mannerPrompt, mannerPrompt, mannerEager, mannerBusy, mannerLate, mannerFails, mannerSilent}

// agents answer the prompts of a soak. They ask any replica, as through a load
// balancer: the one that has sent the prompt may be dead by then.
type agents struct {
	load   *soakLoad
	caller *caller // without a key: the token is enough
	ctx    context.Context
	stop   context.CancelFunc
	asleep sync.WaitGroup

	mu    sync.Mutex
	words []word
	late  int // that were refused, as too late or of an attempt that is over
}

// word is an agent's that the API has taken.
type word struct {
	timer      string
	occurrence int
	action     int
	attempt    int
	ok         bool
}

// prompted is a prompt that an agent has got.
type prompted struct {
	timer string
	arrival
	manner  string
	attempt int
	minoots.Acknowledgement
}

func newAgents(ctx context.Context, load *soakLoad) *agents {
	a := &agents{load: load, caller: newCaller("")}
	a.ctx, a.stop = context.WithCancel(ctx)
	return a
}

// close has all agents go home.
func (a *agents) close() {
	a.mu.Lock()
	a.stop() // from now on nobody is woken
	a.mu.Unlock()
	a.asleep.Wait()
}

// wake has an agent go about its work.
func (a *agents) wake(p prompted) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.manner == mannerSilent || a.ctx.Err() != nil {
		return
	}
	a.asleep.Go(func() { a.work(p) })
}

func (a *agents) work(p prompted) {
	answer := map[string]any{"status": minoots.AcknowledgementSucceeded, "result": map[string]int{"attempt": p.attempt}}
	pause := agentTime / 4
	switch {
	case p.manner == mannerEager:
		pause = 0
	case p.manner == mannerFails:
		answer = map[string]any{"status": minoots.AcknowledgementFailed, "error": "it is not to be done", "retry": false}
	case p.manner == mannerLate && p.attempt == 1:
		pause = agentTime + agentTime/2
	}
	if rig.Pause(a.ctx, pause) != nil {
		return
	}
	if p.manner == mannerBusy {
		a.say(p, "/heartbeat", map[string]any{"extendMs": (2 * agentTime).Milliseconds(), "progress": "half"})
		if rig.Pause(a.ctx, agentTime) != nil {
			return
		}
	}
	if !a.say(p, "", answer) {
		return
	}
	a.load.ledger.heard(p.timer)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.words = append(a.words, word{p.timer, p.occurrence, p.action, p.attempt, p.manner != mannerFails})
}

// tooLateToSay is the answer to a word on an attempt that is over.
const tooLateToSay = "HTTP 410 conflict"

// say asks until there is an answer, and tells whether the word was taken: also if
// it was before, and the answer did not come.
func (a *agents) say(p prompted, path string, words any) (taken bool) {
	body, err := json.Marshal(words)
	if err != nil {
		panic(err) // it is ours, and encodes
	}
	said := a.load.try(a.ctx, time.Now().Add(patience), func(api string) string {
		var receipt struct{ Attempt int }
		failure := a.caller.post(a.ctx, api+"/v1/acks/"+p.Token+path, "", body, &receipt)
		taken = failure == "" || failure == conflict
		if taken || failure == tooLateToSay {
			return ""
		}
		return failure
	})
	if said && !taken {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.late++
	}
	return said && taken
}
