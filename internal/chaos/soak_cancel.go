package chaos

import (
	"context"
	"time"

	"github.com/minoots/minoots"
)

// The answers to a cancel that comes too late: it runs, or is over and gone. A
// timer that is gone and was not over is found missing.
const (
	conflict = "HTTP 409 conflict"
	notFound = "HTTP 404 not_found"
)

// cancel cancels a timer, and notes what became of it.
func (l *soakLoad) cancel(ctx context.Context, id string, tenant *caller) {
	l.ledger.doubt(id)
	var said created
	tooLate := false
	l.try(ctx, time.Now().Add(l.patience), func(api string) string {
		failure := tenant.post(ctx, api+"/v1/timers/"+id+"/cancel", "", []byte(`{"requestedBy": "chaos"}`), &said)
		if failure == conflict || failure == notFound {
			tooLate = true
			return ""
		}
		return failure
	})
	if tooLate || said.Status != "" {
		l.ledger.cancelled(id, said.Status == minoots.StatusCancelled)
	}
}
