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
	policy := d.Policy.Or(minoots.DefaultRetryPolicy)
	if out.Success || !out.Retryable || attempt >= policy.MaxAttempts {
		return true, 0
	}
	return false, action.NextDelay(policy, d.WebhookID(), attempt, out.RetryAfter)
}
