package minoots

import "fmt"

// DeadLetter is an action that ran out of attempts and of escalation. It stays
// until it is redriven and succeeds, or is discarded.
type DeadLetter struct {
	ID         ID               `json:"id"`
	TimerID    ID               `json:"timerId"`
	Occurrence int              `json:"occurrence" doc:"1 for the timer's first firing."`
	DueAt      Instant          `json:"dueAt" doc:"When the firing was due."`
	ActionID   string           `json:"actionId"`
	Kind       ActionKind       `json:"kind" enum:"webhook,agent_prompt,workflow_event,command"`
	Phase      string           `json:"phase" enum:"action,escalation,compensation" doc:"The part of the firing in which it acted."`
	WebhookID  string           `json:"webhookId" doc:"Of all its deliveries, those of redrives too."`
	Status     DeadLetterStatus `json:"status" enum:"dead,redriven,resolved,discarded"`
	Attempts   int              `json:"attempts" doc:"Attempts in all, those of redrives included."`
	Redrives   int              `json:"redrives" doc:"How often it was redriven."`
	HTTPStatus *int             `json:"httpStatus" doc:"Of the last attempt that failed."`
	ErrorClass *string          `json:"errorClass"`
	Error      *string          `json:"error"`
	CreatedAt  Instant          `json:"createdAt"`
	RedrivenAt *Instant         `json:"redrivenAt" doc:"The last time."`
	ClosedAt   *Instant         `json:"closedAt" doc:"When it was resolved or discarded."`
	Action     *Action          `json:"action,omitempty" doc:"What is delivered; given for one dead letter only."`
	History    []Attempt        `json:"history,omitempty" doc:"All its attempts, the first one first; given for one dead letter only."`
}

// DeadLetterStatus says where a dead letter stands.
type DeadLetterStatus string

// dead ⇄ redriven → resolved, and dead → discarded.
const (
	DeadLetterDead      DeadLetterStatus = "dead"      // nothing happens by itself
	DeadLetterRedriven  DeadLetterStatus = "redriven"  // on its way again
	DeadLetterResolved  DeadLetterStatus = "resolved"  // a redrive has succeeded
	DeadLetterDiscarded DeadLetterStatus = "discarded" // given up by somebody
)

// DeadLetterStatuses lists what a row may hold.
var DeadLetterStatuses = []DeadLetterStatus{DeadLetterDead, DeadLetterRedriven, DeadLetterResolved, DeadLetterDiscarded}

// MaxRedrive is how many dead letters one request redrives.
const MaxRedrive = 10_000

// webhookID is the identity of an action of a firing.
func webhookID(timer ID, occurrence int, action string) string {
	return fmt.Sprintf("%s_%d_%s", timer, occurrence, action)
}

// Derive fills in the fields that follow from others.
func (l *DeadLetter) Derive() { l.WebhookID = webhookID(l.TimerID, l.Occurrence, l.ActionID) }
