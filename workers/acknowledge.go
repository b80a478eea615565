package workers

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers/action"
)

const (
	// askTimeout is how long it may take to note that a delivery asks for an
	// acknowledgement; parkTimeout, that one is to be waited for; parkCutTimeout,
	// the same of an attempt that was cut when it had been sent.
	askTimeout     = 5 * time.Second
	parkTimeout    = 30 * time.Second
	parkCutTimeout = time.Second
)

// acknowledger asks agents to acknowledge what is sent to them, and lets their
// jobs wait for that in the table: no worker does.
type acknowledger struct {
	db      *db.DB
	replica string
	base    string // of the API, as agents reach it; "" asks for nothing
	metrics *metrics
	log     *slog.Logger
}

// ask notes that an attempt is about to be sent and gives it a token. It does so
// before the send, for an agent may answer before its receiver does. Where it
// cannot, the outcome says so: nothing goes out that could not be acknowledged.
func (a *acknowledger) ask(ctx context.Context, jobID int64, d *minoots.Delivery, attempt int) (failed *minoots.Outcome) {
	d.Acknowledgement = nil
	if a.base == "" || d.Action.Kind != minoots.KindAgentPrompt || d.AgentBinding == nil {
		return nil
	}
	began := a.db.Clock().Now()
	timeout := time.Duration(d.AgentBinding.WithDefaults().AcknowledgementTimeoutMs) * time.Millisecond
	var token string
	var expires time.Time
	err := a.persist(ctx, askTimeout, func(ctx context.Context) (err error) {
		token = minoots.NewAcknowledgementToken() // the last may have been kept all the same
		expires, err = a.db.AcknowledgementOpen(ctx, db.AcknowledgementOpen{
			Token: token, JobID: jobID, Attempt: attempt, Delivery: d, Replica: a.replica, Timeout: timeout,
		})
		return err
	})
	if err != nil {
		a.log.Warn("an agent was not woken: its acknowledgement could not be prepared", "webhook_id", d.WebhookID(), "error", err)
		return &minoots.Outcome{
			Retryable: true, ErrorClass: action.ClassUnavailable, Error: "the acknowledgement could not be prepared",
			StartedAt: began, FinishedAt: a.db.Clock().Now(),
		}
	}
	d.Acknowledgement = &minoots.Acknowledgement{
		URL: a.base + "/v1/acks/" + token, Token: token, ExpiresAt: minoots.InstantOf(expires),
	}
	return nil
}

// awaits tells whether an attempt is not over with its send.
func awaits(d *minoots.Delivery, out *minoots.Outcome) bool {
	return out.Success && d.Acknowledgement != nil && !out.Acknowledged
}

// park lets the job of a delivery wait that was sent. It returns when that is
// committed, or cannot be: then the job is this replica's until it is gone, and
// the delivery is made again.
func (a *acknowledger) park(ctx context.Context, d *minoots.Delivery, out *minoots.Outcome) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(parkCutTimeout, cancel) })
	defer stop()
	parked := false
	err := a.persist(lasting, parkTimeout, func(ctx context.Context) (err error) {
		parked, err = a.db.AcknowledgementPark(ctx, d.TenantID, d.Acknowledgement.Token, out)
		return err
	})
	switch {
	case err != nil:
		a.metrics.recordErrors.Inc()
		a.log.Error("a delivery was sent and could not be set to wait for its acknowledgement: it will be repeated",
			"webhook_id", d.WebhookID(), "error", err)
	case parked:
		a.metrics.awaited.Inc()
	default:
		a.metrics.superseded.Inc() // acknowledged already, or another's
	}
}

// persist tries again while Postgres is away: what it does bears that.
func (a *acknowledger) persist(ctx context.Context, within time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for failures := 0; ; failures++ {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || minoots.ErrorCode(err) != minoots.CodeUnavailable {
			return err
		}
		pause := min(50*time.Millisecond<<min(failures, 5), time.Second)
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}
