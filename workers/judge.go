package workers

import (
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers/action"
)

var _ db.Judge = Judge

// Judge tells what follows an attempt: whether it was the last, and if not, how
// long to wait for the next, by the action's own policy and what the receiver
// asked for. It is the same for attempts that end here and for those that end in
// an acknowledgement.
func Judge(d *minoots.Delivery, attempt int, out *minoots.Outcome) (final bool, wait time.Duration) {
	if out.Success || attempt >= d.MaxAttempts() || !action.Retries(d.Policy, out) {
		return true, 0
	}
	// After a redrive it begins with the first wait again.
	return false, action.NextDelay(d.Policy.Or(minoots.DefaultRetryPolicy), d.WebhookID(), attempt-d.Base, out.RetryAfter)
}
