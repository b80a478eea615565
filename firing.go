package minoots

import "time"

// Firing is one occurrence of a timer, known by (timer, occurrence): computed,
// not remembered, so that firing twice is a constraint violation and not a bug
// to look for.
type Firing struct {
	TimerID    ID           `json:"timerId"`
	Occurrence int          `json:"occurrence" doc:"1 for the first."`
	Status     FiringStatus `json:"status" enum:"running,settled,failed,cancelled,skipped"`
	DueAt      Instant      `json:"dueAt"`
	FiredAt    Instant      `json:"firedAt" doc:"When the fire transaction began, by the database's clock."`
	SettledAt  *Instant     `json:"settledAt"`
	Reason     *string      `json:"reason" doc:"Why it failed or was skipped."`
	Actions    int          `json:"actions" doc:"Actions in the bundle."`
	Failed     int          `json:"failed" doc:"Actions that failed for good."`
	LatenessMs float64      `json:"latenessMs" doc:"firedAt minus dueAt."`
	Attempts   []Attempt    `json:"attempts,omitempty"`
	// Awaited is what agents have not acknowledged yet.
	Awaited []AwaitedAcknowledgement `json:"acknowledgements,omitempty" doc:"Deliveries that agents have got and not acknowledged yet."`
}

// Attempt is one try of one action.
type Attempt struct {
	ActionID   string        `json:"actionId"`
	Kind       ActionKind    `json:"kind"`
	Attempt    int           `json:"attempt" doc:"1 for the first."`
	Status     AttemptStatus `json:"status" enum:"succeeded,retrying,failed"`
	StartedAt  Instant       `json:"startedAt"`
	FinishedAt Instant       `json:"finishedAt"`
	HTTPStatus *int          `json:"httpStatus"`
	ErrorClass *string       `json:"errorClass" doc:"A short stable word: timeout, refused, address_denied, http_status …"`
	Error      *string       `json:"error"`
	Response   *string       `json:"response" doc:"The first 4 KiB of the answer."`
	Replica    string        `json:"replica" doc:"The process that made the attempt."`
}

// AttemptStatus says how a try ended.
type AttemptStatus string

// A failed attempt is retrying while the policy allows another, else failed.
const (
	AttemptSucceeded AttemptStatus = "succeeded"
	AttemptRetrying  AttemptStatus = "retrying"
	AttemptFailed    AttemptStatus = "failed"
)

// Outcome is what an executor reports of one attempt.
type Outcome struct {
	Success    bool
	Retryable  bool          // meaningful when not Success: may another try help?
	RetryAfter time.Duration // what the other side asked for; 0 for nothing
	HTTPStatus int           // 0 when no answer came
	ErrorClass string        // short stable word, "" on success
	Error      string        // one line for people, never with a secret
	Response   []byte        // at most MaxResponseCapture bytes
	// Acknowledged says that the answer came when the agent had done its work: no
	// acknowledgement is waited for. Meaningful when Success.
	Acknowledged bool
	StartedAt    time.Time
	FinishedAt   time.Time
}

// Delivery is one action of one firing, with all that its executor needs, so
// that executing it reads nothing. It travels as a River job's arguments, which
// River writes twice: what is empty is left out.
type Delivery struct {
	TenantID     string        `json:"tenantId"`
	Timer        DeliveryTimer `json:"timer"`
	Occurrence   int           `json:"occurrence"`
	DueAt        Instant       `json:"dueAt"`
	FiredAt      Instant       `json:"firedAt"`
	Action       Action        `json:"action"`
	Policy       RetryPolicy   `json:"policy"`
	AgentBinding *AgentBinding `json:"agentBinding,omitempty"`
	// Alone marks an action after which nothing can follow: the only one of its
	// bundle, without escalation and compensation. Its outcome is one statement.
	Alone bool `json:"alone,omitempty"`
	// Recurring marks a firing whose outcome leaves the timer's status alone.
	Recurring bool `json:"recurring,omitempty"`
	// Generation grows when a lost worker's delivery is dispatched again.
	Generation int `json:"generation,omitempty"`
	// Stop says that nothing more is begun once this action has failed for good.
	Stop  bool  `json:"stop,omitempty"`
	Phase Phase `json:"phase,omitempty"`
	// Cause is how the action ended that this one, an escalation, takes over from.
	Cause *ActionEnd `json:"cause,omitempty"`
	// Compensation is what runs if the firing ends failed; in a compensation, what
	// runs after it.
	Compensation []Action     `json:"compensation,omitempty"`
	Compensates  *Compensates `json:"compensates,omitempty"`
	// Base is how many attempts were made before the last redrive; attempts are
	// counted on, and the policy begins anew. Redrives counts the redrives.
	Base     int `json:"base,omitempty"`
	Redrives int `json:"redrives,omitempty"`
	// Acknowledgement is asked for if it is set, which is done just before the
	// attempt: it never travels in a job.
	Acknowledgement *Acknowledgement `json:"-"`
	// Subscription is set for an event that goes to a subscription, of no firing.
	Subscription *DeliverySubscription `json:"subscription,omitempty"`
}

// DeliveryTimer is the part of a timer that receivers are told.
type DeliveryTimer struct {
	ID          ID                `json:"id"`
	Name        string            `json:"name,omitempty"`
	RequestedBy string            `json:"requestedBy,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Metadata    RawJSON           `json:"metadata,omitempty"`
}

// RawJSON is JSON passed through untouched; absent is null.
type RawJSON []byte

// MarshalJSON implements json.Marshaler.
func (r RawJSON) MarshalJSON() ([]byte, error) {
	if len(r) == 0 {
		return []byte("null"), nil
	}
	return r, nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *RawJSON) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}

// WebhookID is the same for every delivery of this action of this firing,
// whoever makes it and however often: receivers drop repeats by it.
func (d Delivery) WebhookID() string {
	if d.Subscription != nil {
		return d.Subscription.DeliveryID.String()
	}
	return webhookID(d.Timer.ID, d.Occurrence, d.Action.ID)
}
