package workers

import (
	"runtime"
	"strings"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// River polls each queue that it fetches from once a second, whether there is
// anything in it or not. Only the webhooks' queue is worth that: those of the
// other kinds are opened like lanes, when they have jobs.

// slots is how many actions of a kind run at once. Agents take long and hold
// memory, NATS takes its messages over one connection, and programs are processes
// of this machine.
func (c Config) slots(kind minoots.ActionKind) int {
	switch kind {
	case minoots.KindAgentPrompt:
		return min(c.Concurrency, 64)
	case minoots.KindWorkflowEvent:
		return min(c.Concurrency, 128)
	case minoots.KindCommand:
		return min(c.Concurrency, 2*runtime.NumCPU())
	default:
		return c.Concurrency
	}
}

// isOpen tells whether River fetches from a queue all the time.
func isOpen(queue string) bool { return queue == string(minoots.KindWebhook) }

// kindOf gives the kind of action whose queue or lane this is.
func kindOf(queue string) minoots.ActionKind {
	kind, _, _ := strings.Cut(queue, "-")
	return minoots.ActionKind(kind)
}

// queueWorkers is how many workers a queue that is opened on demand gets: that of
// a kind as many as the desk, a lane a quarter, that of all subscriptions a quarter
// of the webhooks', and the lane of one a quarter of that. 0 for a kind that this process
// cannot perform; another replica may.
func (w *Workers) queueWorkers(queue string) int {
	if queue == db.SubscriptionQueue {
		return max(1, w.cfg.slots(minoots.KindWebhook)/4)
	}
	kind := kindOf(queue)
	if kind == db.SubscriptionQueue {
		return max(1, w.cfg.slots(minoots.KindWebhook)/16)
	}
	if w.desks[kind] == nil {
		return 0
	}
	if isLane(queue) {
		return max(1, w.cfg.slots(kind)/4)
	}
	return w.cfg.slots(kind)
}
