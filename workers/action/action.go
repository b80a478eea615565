// Package action executes the actions of a firing. There is one executor per
// action kind: spec in, outcome out. It reads no database, keeps no queue and
// decides no retry; it makes one attempt and says precisely how that went.
//
// Where to look:
//
//	action.go          Executor, Registry
//	webhook.go         one attempt of a webhook, from parameters to outcome
//	webhook_spec.go    what a caller may write in a webhook's parameters
//	webhook_body.go    the body that a receiver gets by default
//	webhook_send.go    the request and its headers
//	webhook_read.go    the answer: how much of it is read and kept
//	agent.go           agent_prompt: one attempt, by the binding's adapter
//	agent_spec.go      its parameters and the binding
//	agent_payload.go   what the agent is told
//	agent_http.go      the adapters langchain, autogen and custom
//	agent_mcp.go       the adapter mcp
//	template*.go       agentBinding.payloadTemplate: compile, bound, render
//	workflow_event.go  a message to NATS JetStream
//	command*.go        a program of the operator's list
//	sender.go          one signed HTTP exchange, for all that speak HTTP
//	sign.go            secrets, signature, trace context
//	exchange.go        one request and its answer: over a line, or by net/http
//	line*.go           lines: connections of our own for small HTTP/1.1 requests
//	transport.go       net/http's client, for the rest: pool, limits, protocols
//	guard.go           which addresses may be dialled
//	failure.go         error classes, and how an error gets its class
//	retry.go           the table of what is retried, and when
package action

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/minoots/minoots"
)

// Executor performs the actions of one kind. It is safe for concurrent use.
type Executor interface {
	// Execute makes one attempt; attempt is 1 for the first. It never fails as
	// a call: whatever goes wrong, a cancelled ctx included, is in the Outcome.
	// It returns soon after ctx ends, and in any case within the action's own
	// timeout.
	Execute(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome
	// Check says what is wrong with an action's parameters, with paths such as
	// "parameters.url". It reads nothing and resolves no names: what only the
	// network can tell is checked at each attempt.
	// agent is the timer's binding, nil if it has none.
	Check(parameters json.RawMessage, agent *minoots.AgentBinding) []minoots.FieldError
	// Destination names who a delivery goes to, such as a host: the deliveries of
	// one destination share a bound.
	Destination(d *minoots.Delivery) string
}

// Config is what executors need from the outside.
type Config struct {
	// Secrets signs deliveries. A process that only checks parameters may leave
	// it nil; there every delivery fails with ClassSigning.
	Secrets Secrets
	// Allow lists the private, loopback and reserved ranges that deliveries may
	// reach. Defaults to none: public addresses only.
	Allow []netip.Prefix
	// Concurrency is how many deliveries may be under way at once, which is the
	// worker count of the queue. It sizes the connection pool. Defaults to 512.
	Concurrency int
	// Version is told to receivers in User-Agent. Defaults to "dev".
	Version string
	// Now is the clock that receivers are told and that attempts are recorded by;
	// best the database's. Defaults to time.Now.
	Now func() time.Time
	// Commands lists the programs that command actions may run, by absolute path.
	// Without any the kind is not available.
	Commands []string
	// NATS is where workflow_event actions are published. Without it the kind is
	// not available.
	NATS Publisher
}

func (c Config) withDefaults() Config {
	if c.Concurrency <= 0 {
		c.Concurrency = 512
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Registry knows the executor of each kind that this process can perform.
type Registry struct {
	executors map[minoots.ActionKind]Executor
	agents    *Agent
	sender    *sender
}

// NewRegistry builds every executor. A new kind is one file in this package and
// one line here.
func NewRegistry(config Config) *Registry {
	config = config.withDefaults()
	s := newSender(config)
	agents := newAgent(s, config.Version)
	r := &Registry{agents: agents, sender: s, executors: map[minoots.ActionKind]Executor{
		minoots.KindWebhook:     &Webhook{s},
		minoots.KindAgentPrompt: agents,
	}}
	if config.NATS != nil {
		r.executors[minoots.KindWorkflowEvent] = NewWorkflowEvent(config)
	}
	if len(config.Commands) > 0 && commandsRun {
		r.executors[minoots.KindCommand] = NewCommand(config)
	}
	return r
}

var (
	_ minoots.ParameterChecker                         = (*Registry)(nil).Check
	_ func(*minoots.AgentBinding) []minoots.FieldError = (*Registry)(nil).CheckAgent
)

// Check implements minoots.ParameterChecker. A kind without an executor is one
// mistake, at "kind": better refused when the timer is made than failed in the
// night when it fires.
func (r *Registry) Check(kind minoots.ActionKind, parameters json.RawMessage, agent *minoots.AgentBinding) []minoots.FieldError {
	e, ok := r.executors[kind]
	if !ok {
		return []minoots.FieldError{{Path: "kind", Message: notAvailable(kind)}}
	}
	return e.Check(parameters, agent)
}

// CheckAgent says what is wrong with a timer's binding, template included. Paths
// are below "agentBinding".
func (r *Registry) CheckAgent(agent *minoots.AgentBinding) []minoots.FieldError {
	return r.agents.checkBinding(agent)
}

// Kinds lists what can be performed, in the order of the contract. Each kind
// gets a queue of its own.
func (r *Registry) Kinds() []minoots.ActionKind {
	kinds := make([]minoots.ActionKind, 0, len(r.executors))
	for _, kind := range minoots.ActionKinds {
		if _, ok := r.executors[kind]; ok {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Destination names who a delivery goes to.
func (r *Registry) Destination(d *minoots.Delivery) string {
	if e, ok := r.executors[d.Action.Kind]; ok {
		return e.Destination(d)
	}
	return ""
}

// Execute makes one attempt by the executor of the action's kind.
func (r *Registry) Execute(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome {
	e, ok := r.executors[d.Action.Kind]
	if !ok {
		return run(r.sender.now, func(*minoots.Outcome) failure {
			return failure{ClassUnavailable, notAvailable(d.Action.Kind)}
		})
	}
	return e.Execute(ctx, d, attempt)
}

// Close releases what executors hold between attempts: idle connections. Call it
// when no attempt is under way.
func (r *Registry) Close() { r.sender.Close() }

// notAvailable says what is missing, for kinds that an operator must allow.
func notAvailable(kind minoots.ActionKind) string {
	switch {
	case kind == minoots.KindWorkflowEvent:
		return `"workflow_event" actions need a NATS server, and this service has none; an operator can name one with MINOOTS_NATS_URL`
	case kind == minoots.KindCommand && !commandsRun:
		return `"command" actions are not available on this operating system`
	case kind == minoots.KindCommand:
		return `"command" actions are off in this service; an operator can list programs with MINOOTS_COMMAND_ALLOW`
	default:
		return fmt.Sprintf("%q actions are not available in this version", kind)
	}
}

// Timeout is the time that an action may take, by the word of its parameters,
// which are not checked here; the default if they do not say.
func Timeout(a minoots.Action) time.Duration {
	var given struct {
		TimeoutMs int64 `json:"timeoutMs"`
	}
	if json.Unmarshal(a.Parameters, &given) != nil || given.TimeoutMs <= 0 {
		return defaultTimeout
	}
	return min(time.Duration(given.TimeoutMs)*time.Millisecond, maxTimeout)
}
