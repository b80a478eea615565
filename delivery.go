package minoots

// Phase says in which part of its firing a delivery acts.
type Phase string

// A delivery of the bundle's own actions has no phase.
const (
	PhaseEscalation   Phase = "escalation"   // takes over for an action that failed
	PhaseCompensation Phase = "compensation" // runs because the firing ended failed
)

// ActionEnd is how an action of a firing ended, as those that act on it are told.
// It is public: a part of default bodies.
type ActionEnd struct {
	ActionID   string     `json:"actionId"`
	Kind       ActionKind `json:"kind"`
	Attempts   int        `json:"attempts" doc:"The number of its last attempt."`
	HTTPStatus int        `json:"httpStatus,omitempty"`
	ErrorClass string     `json:"errorClass,omitempty"`
	Error      string     `json:"error,omitempty"`
}

// Compensates is what a compensation makes up for. An action that failed and whose
// escalation succeeded is among the failed, and its escalation among the succeeded.
type Compensates struct {
	Failed    []ActionEnd `json:"failed"`
	Succeeded []ActionEnd `json:"succeeded"`
}

// Delivers makes the delivery of one of the bundle's actions, from one that has
// what all deliveries of the firing share.
func (b *Bundle) Delivers(a Action, like Delivery) Delivery {
	like.Stop = b.OnFailure == OnFailureStop && len(b.Actions) > 1
	like.Compensation = nil
	for _, c := range b.Compensation {
		like.Compensation = append(like.Compensation, b.settled(c))
	}
	like.Compensates = nil
	a.Escalation = b.resolved(a.Escalation)
	return like.doing(a, b.PolicyOf(a), "", len(b.Actions) == 1)
}

// settled is an action whose policies, its escalations' too, no longer need the
// bundle.
func (b *Bundle) settled(a Action) Action {
	if b.RetryPolicy != nil && !b.RetryPolicy.IsDefault() {
		policy := b.PolicyOf(a)
		a.RetryPolicy = &policy
	}
	a.Escalation = b.resolved(a.Escalation)
	return a
}

func (b *Bundle) resolved(e *Escalation) *Escalation {
	if e == nil || e.EscalatesTo == nil {
		return nil
	}
	to := b.settled(*e.EscalatesTo)
	return &Escalation{AfterAttempts: e.AfterAttempts, EscalatesTo: &to}
}

// doing is the same delivery of another action. lone says that no other action of
// the firing can be begun by its outcome, but for those that it brings itself.
func (d Delivery) doing(a Action, policy RetryPolicy, phase Phase, lone bool) Delivery {
	d.Action, d.Policy, d.Phase = a, policy, phase
	d.Cause, d.Generation, d.Base, d.Redrives = nil, 0, 0, 0
	d.Alone = lone && a.Escalation == nil && len(d.Compensation) == 0
	return d
}

// Redriven tells whether the delivery was a dead letter before.
func (d *Delivery) Redriven() bool { return d.Redrives > 0 }

// EscalatesTo is the action that takes over when this one has failed for good,
// nil if none does. A dead letter that is redriven has escalated already.
func (d *Delivery) EscalatesTo() *Action {
	if d.Redriven() || d.Action.Escalation == nil {
		return nil
	}
	return d.Action.Escalation.EscalatesTo
}

// MaxAttempts is the number of the last attempt: what the policy allows, or fewer
// if the action escalates before, and those made before a redrive come on top.
func (d *Delivery) MaxAttempts() int {
	most := d.Policy.Or(DefaultRetryPolicy).MaxAttempts
	if d.EscalatesTo() != nil {
		most = min(most, max(d.Action.Escalation.AfterAttempts, 1))
	}
	return d.Base + most
}

// Escalation is the delivery of the action that takes over, which is told how
// this one ended.
func (d *Delivery) Escalation(attempt int, out *Outcome) Delivery {
	phase := PhaseEscalation
	if d.Phase == PhaseCompensation {
		phase = PhaseCompensation
	}
	to := d.EscalatesTo()
	next := d.doing(*to, to.RetryPolicy.Or(DefaultRetryPolicy), phase, false)
	next.Cause = &ActionEnd{
		ActionID: d.Action.ID, Kind: d.Action.Kind, Attempts: attempt,
		HTTPStatus: out.HTTPStatus, ErrorClass: out.ErrorClass, Error: out.Error,
	}
	return next
}

// Compensating is the delivery of the first compensation of a firing that has
// ended failed, or of the next when one has ended; there must be one. The
// deliveries carry those still to come with them.
func (d *Delivery) Compensating(made Compensates) Delivery {
	next := *d
	next.Stop, next.Compensates = false, &made
	next.Compensation = d.Compensation[1:]
	a := d.Compensation[0]
	return next.doing(a, a.RetryPolicy.Or(DefaultRetryPolicy), PhaseCompensation, true)
}
