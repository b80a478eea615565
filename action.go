package minoots

import (
	"encoding/json"
	"time"
)

// ActionKind names what an action does. Each kind has one executor, one file in
// workers/action, and one River queue of the same name.
type ActionKind string

// The kinds of the contract.
const (
	KindWebhook       ActionKind = "webhook"
	KindAgentPrompt   ActionKind = "agent_prompt"
	KindWorkflowEvent ActionKind = "workflow_event"
	KindCommand       ActionKind = "command"
)

// ActionKinds lists the kinds of the contract.
var ActionKinds = []ActionKind{KindWebhook, KindAgentPrompt, KindWorkflowEvent, KindCommand}

// Action is one thing to do at a firing. Parameters belong to the kind; its
// executor's package validates them.
type Action struct {
	ID          string          `json:"id" doc:"Name of the action, unique in its bundle; part of webhook-id." minLength:"1" maxLength:"64" example:"wake"`
	Kind        ActionKind      `json:"kind" enum:"webhook,agent_prompt,workflow_event,command" doc:"What the action does."`
	Parameters  json.RawMessage `json:"parameters,omitempty" doc:"What the kind needs; for a webhook: url, method, headers, body, timeoutMs."`
	RetryPolicy *RetryPolicy    `json:"retryPolicy,omitempty" doc:"Overrides the bundle's retry policy."`
	Escalation  *Escalation     `json:"escalation,omitempty" doc:"What to do instead after some failures."`
}

// Escalation names the action that takes over after AfterAttempts failures.
type Escalation struct {
	AfterAttempts int     `json:"afterAttempts" minimum:"1" maximum:"100" doc:"Failed attempts after which the escalation runs."`
	EscalatesTo   *Action `json:"escalatesTo" doc:"The action that takes over."`
}

// RetryPolicy says how often and how far apart an action is tried.
// A zero field means the default.
type RetryPolicy struct {
	MaxAttempts       int     `json:"maxAttempts,omitempty" minimum:"0" maximum:"100" doc:"Tries in all, the first included. Default 5."`
	BackoffInitialMs  int64   `json:"backoffInitialMs,omitempty" minimum:"0" maximum:"86400000" doc:"Wait before the second try. Default 1000."`
	BackoffMultiplier float64 `json:"backoffMultiplier,omitempty" minimum:"0" maximum:"100" doc:"Growth of the wait. Default 2."`
	BackoffMaxMs      int64   `json:"backoffMaxMs,omitempty" minimum:"0" maximum:"604800000" doc:"Longest wait. Default one hour."`
	// RetryOn widens the table of what is retried; see RetryOnClasses.
	RetryOn []string `json:"retryOn,omitempty" maxItems:"50" doc:"Retried too: HTTP statuses from 300 to 499, and error classes such as redirect." example:"404,redirect"`
}

// RetryOnClasses lists the error classes that RetryOn may name. Those that are
// retried anyway may be named for the reader's sake. address_denied and parameters
// are not among them: to ask again is a port scan, or the same mistake once more.
var RetryOnClasses = []string{
	"timeout", "refused", "reset", "unreachable", "dns", "tls", "protocol", "signing", "unavailable", "redirect", "http_status",
}

// DefaultRetryPolicy is the contract's: five tries, one second, doubling, at
// most an hour apart.
var DefaultRetryPolicy = RetryPolicy{
	MaxAttempts: 5, BackoffInitialMs: 1000, BackoffMultiplier: 2, BackoffMaxMs: 3_600_000,
}

// Or fills p's zero fields from fallback. A nil p is fallback itself.
func (p *RetryPolicy) Or(fallback RetryPolicy) RetryPolicy {
	if p == nil {
		return fallback
	}
	out := *p
	if out.MaxAttempts == 0 {
		out.MaxAttempts = fallback.MaxAttempts
	}
	if out.BackoffInitialMs == 0 {
		out.BackoffInitialMs = fallback.BackoffInitialMs
	}
	if out.BackoffMultiplier == 0 {
		out.BackoffMultiplier = fallback.BackoffMultiplier
	}
	if out.BackoffMaxMs == 0 {
		out.BackoffMaxMs = fallback.BackoffMaxMs
	}
	if out.RetryOn == nil {
		out.RetryOn = fallback.RetryOn
	}
	return out
}

// IsDefault tells whether the policy is the default, written out.
func (p RetryPolicy) IsDefault() bool {
	d := DefaultRetryPolicy
	return p.MaxAttempts == d.MaxAttempts && p.BackoffInitialMs == d.BackoffInitialMs &&
		p.BackoffMultiplier == d.BackoffMultiplier && p.BackoffMaxMs == d.BackoffMaxMs && len(p.RetryOn) == 0
}

// Delay is the wait after the given failed attempt (1 is the first), before
// jitter: initial × multiplier^(attempt-1), at most BackoffMaxMs.
func (p RetryPolicy) Delay(attempt int) time.Duration {
	delay := float64(p.BackoffInitialMs)
	for i := 1; i < attempt && delay < float64(p.BackoffMaxMs); i++ {
		delay *= p.BackoffMultiplier
	}
	return time.Duration(min(delay, float64(p.BackoffMaxMs)) * float64(time.Millisecond))
}

// Bundle is the actions of one firing and how to run them.
type Bundle struct {
	Concurrency int          `json:"concurrency,omitempty" minimum:"0" maximum:"100" doc:"Actions under way at once; 1, the default, runs them in order."`
	RetryPolicy *RetryPolicy `json:"retryPolicy,omitempty" doc:"For actions without one of their own."`
	Actions     []Action     `json:"actions" minItems:"0" maxItems:"100" doc:"What to do, in this order."`
	OnFailure   string       `json:"onFailure,omitempty" enum:"continue,stop" doc:"What becomes of the actions after one that failed for good. Default continue."`
	// Compensation is told what failed and what had succeeded.
	Compensation []Action `json:"compensation,omitempty" maxItems:"100" doc:"What to do, in this order, when the bundle ends failed."`
}

// The values of Bundle.OnFailure.
const (
	OnFailureContinue = "continue" // the others run all the same
	OnFailureStop     = "stop"     // no further action is begun
)

// WithDefaults gives the bundle with every default written out, which is how it
// is stored, so that readers of the row need not know them.
func (b Bundle) WithDefaults() Bundle {
	if b.Concurrency == 0 {
		b.Concurrency = 1
	}
	policy := b.RetryPolicy.Or(DefaultRetryPolicy)
	b.RetryPolicy = &policy
	return b
}

// PolicyOf is the retry policy that holds for an action of the bundle.
func (b Bundle) PolicyOf(a Action) RetryPolicy {
	return a.RetryPolicy.Or(b.RetryPolicy.Or(DefaultRetryPolicy))
}
