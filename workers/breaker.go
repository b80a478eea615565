package workers

import (
	"context"
	"log/slog"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers/action"
)

// Breaker says when deliveries of a tenant to a destination are stopped, and when
// it is tried again. Each replica counts for itself.
type Breaker struct {
	// Failures in a row that open it. Defaults to 5.
	Failures int
	// Share of failures among the attempts of the last Window that opens it, if
	// those are Least at least. Defaults to 0.5 of 20 in 30 s.
	Share  float64
	Least  int
	Window time.Duration
	// WaitLeast is about how long deliveries wait before the first probe; it
	// doubles with each that fails, to WaitMost. Defaults to 1 s and 60 s.
	WaitLeast, WaitMost time.Duration
}

func (b Breaker) withDefaults() Breaker {
	if b.Failures == 0 {
		b.Failures = 5
	}
	if b.Share == 0 {
		b.Share = 0.5
	}
	if b.Least == 0 {
		b.Least = 20
	}
	if b.Window == 0 {
		b.Window = 30 * time.Second
	}
	if b.WaitLeast == 0 {
		b.WaitLeast = time.Second
	}
	if b.WaitMost == 0 {
		b.WaitMost = time.Minute
	}
	return b
}

// verdict is what an outcome says of the destination.
type verdict int

const (
	neutral verdict = iota // nothing: the fault is ours, or the caller's
	healthy
	sick
)

// sickClass lists the error classes that speak of the destination. The others are
// about this process or what the caller wrote.
var sickClass = map[string]bool{
	action.ClassTimeout: true, action.ClassRefused: true, action.ClassReset: true, action.ClassUnreachable: true,
	action.ClassDNS: true, action.ClassTLS: true, action.ClassProtocol: true,
}

// judge tells what an outcome says of its destination. One that answers is healthy,
// whatever it thinks of the request, unless it says that it cannot cope: 5xx, 429.
// A program is run by this machine, and is nobody's receiver.
func judge(kind minoots.ActionKind, out *minoots.Outcome) verdict {
	switch {
	case kind == minoots.KindCommand:
		return neutral
	case out.Success:
		return healthy
	case sickClass[out.ErrorClass], out.HTTPStatus >= 500, out.HTTPStatus == 429:
		return sick
	case out.HTTPStatus > 0:
		return healthy
	default:
		return neutral
	}
}

// breaker keeps deliveries from destinations that are dead or have their limit,
// and lets them go. What it knows of them stands in Postgres; see
// docs/adr/0017-breaker.md.
type breaker struct {
	db      *db.DB
	replica string
	gates   *gates
	health  *health
	holder  *holder
	pump    *pump
	policy  Breaker
	actions Executor
	metrics *breakerMetrics
	errands *errands
	soon    func() // has lanes looked for
	log     *slog.Logger
}

// ended takes in the outcome of an attempt that nothing had held.
func (b *breaker) ended(key flowKey, kind minoots.ActionKind, out *minoots.Outcome) {
	v := judge(kind, out)
	if key.destination == "" || v == neutral || v == healthy && !b.health.counts() || b.gates.of(key) != nil {
		return // what was under way when it opened says nothing new
	}
	b.count(key, v, out)
}

// count counts an outcome and opens the breaker if it is one too many.
func (b *breaker) count(key flowKey, v verdict, out *minoots.Outcome) {
	if failures := b.health.count(key, v, time.Now()); failures > 0 {
		b.open(key, failures, out)
	}
}

// open has deliveries wait: here at once, and everywhere as soon as Postgres has
// it. It does not give up before the workers end.
func (b *breaker) open(key flowKey, failures int, out *minoots.Outcome) {
	b.health.forget(key)
	b.gates.shut(key)
	o := db.Opening{
		Tenant: key.tenant, Destination: key.destination, Failures: failures, Reason: out.ErrorClass + ": " + out.Error,
		Replica: b.replica, WaitLeast: b.policy.WaitLeast, WaitMost: b.policy.WaitMost,
	}
	b.persist("open", key, func(ctx context.Context) error {
		opens, probeIn, err := b.db.DestinationOpen(ctx, o)
		if err != nil {
			return err
		}
		b.gates.shut(key) // again: a look that began before the commit must not open it
		if opens > 0 {
			b.metrics.transitions.WithLabelValues(string(minoots.BreakerOpen)).Inc()
			b.log.Warn("a destination fails: its deliveries wait", "tenant", key.tenant, "destination", key.destination,
				"failures", failures, "error", o.Reason, "opens", opens, "probe_in", probeIn.Round(time.Millisecond))
		}
		b.pump.at(db.HeldQueue(key.tenant, key.destination), time.Now().Add(probeIn))
		return nil
	})
}

// recover has deliveries go on, few at first.
func (b *breaker) recover(key flowKey) {
	b.persist("recover", key, func(ctx context.Context) error {
		was, err := b.db.DestinationRecover(ctx, key.tenant, key.destination)
		if err != nil {
			return err
		}
		if was {
			b.metrics.transitions.WithLabelValues(string(minoots.BreakerRecovering)).Inc()
			b.log.Info("a destination answers again: its deliveries go on", "tenant", key.tenant, "destination", key.destination)
		}
		b.pump.at(db.HeldQueue(key.tenant, key.destination), time.Now())
		return nil
	})
}

// close has a destination be ordinary, if it has recovered.
func (b *breaker) close(ctx context.Context, key flowKey) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	closed, err := b.db.DestinationClose(ctx, key.tenant, key.destination)
	if err != nil {
		b.log.Warn("breaker not closed; trying again", "destination", key.destination, "error", err)
		return // the next look finds it as it was
	}
	if closed {
		b.health.forget(key)
		b.metrics.transitions.WithLabelValues(string(minoots.BreakerClosed)).Inc()
		b.log.Info("a destination is ordinary again", "tenant", key.tenant, "destination", key.destination)
		b.soon()
	}
}

// persist does what is to be done in Postgres, in the background and until it
// answers.
func (b *breaker) persist(what string, key flowKey, do func(context.Context) error) {
	b.errands.run(func(ctx context.Context) {
		for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
			step, cancel := context.WithTimeout(ctx, recordTimeout)
			err := do(step)
			cancel()
			if err == nil {
				return
			}
			if minoots.ErrorCode(err) == minoots.CodeInvalid {
				b.log.Error("breaker not moved", "to", what, "destination", key.destination, "error", err)
				return
			}
			b.log.Warn("breaker not moved yet; trying again", "to", what, "destination", key.destination, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	})
}

// keyOf names the flow of a delivery.
func keyOf(actions Executor, d *minoots.Delivery) flowKey {
	return flowKey{d.TenantID, minoots.CanonicalDestination(actions.Destination(d))}
}
