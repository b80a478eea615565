package minoots

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// bundleCheck walks over a bundle: what its actions share is told of all of them.
type bundleCheck struct {
	bad        *problems
	parameters ParameterChecker
	agent      *AgentBinding   // the agent to wake, if there is one
	first      *Action         // before which no id can stand twice
	seen       map[string]bool // ids, which are part of webhook-id; nil while there is but one
}

func (b *Bundle) validate(bad *problems, parameters ParameterChecker, agent *AgentBinding) {
	const at = "actionBundle"
	if b.Concurrency < 0 || b.Concurrency > MaxActions {
		bad.add(at+".concurrency", "must be from 1 to %d", MaxActions)
	}
	if b.OnFailure != "" && b.OnFailure != OnFailureContinue && b.OnFailure != OnFailureStop {
		bad.add(at+".onFailure", "must be continue or stop")
	}
	b.RetryPolicy.validate(bad, at+".retryPolicy")
	check := bundleCheck{bad: bad, parameters: parameters, agent: agent}
	check.list(at+".actions", b.Actions)
	check.list(at+".compensation", b.Compensation)
}

func (c *bundleCheck) list(at string, actions []Action) {
	if len(actions) > MaxActions {
		c.bad.add(at, "must be at most %d, not %d", MaxActions, len(actions))
		return
	}
	for i := range actions {
		c.action(at+"["+strconv.Itoa(i)+"]", &actions[i], 0)
	}
}

// action checks one action and, below it, what it escalates to.
func (c *bundleCheck) action(at string, a *Action, depth int) {
	switch {
	case !validActionID(a.ID):
		c.bad.add(at+".id", "must be 1 to 64 of letters, digits, and _ . : - after the first")
	case c.twice(a):
		c.bad.add(at+".id", "%q stands twice in the bundle; ids must differ", a.ID)
	}
	a.RetryPolicy.validate(c.bad, at+".retryPolicy")
	switch {
	case !slices.Contains(ActionKinds, a.Kind):
		c.bad.add(at+".kind", "must be one of %v", ActionKinds)
	case a.Kind == KindAgentPrompt && c.agent == nil:
		c.bad.add(at+".kind", "agent_prompt needs an agentBinding, which says which agent to wake")
	case c.parameters != nil:
		for _, f := range c.parameters(a.Kind, a.Parameters, c.agent) {
			c.bad.add(strings.TrimSuffix(at+"."+f.Path, "."), "%s", f.Message)
		}
	}
	if a.Escalation != nil {
		c.escalation(at+".escalation", a.Escalation, depth+1)
	}
}

// twice tells whether an action's id stands in the bundle before it.
func (c *bundleCheck) twice(a *Action) bool {
	if c.first == nil {
		c.first = a
		return false
	}
	if c.seen == nil {
		c.seen = map[string]bool{c.first.ID: true}
	}
	before := c.seen[a.ID]
	c.seen[a.ID] = true
	return before
}

// validActionID: of letters, digits and, after the first, _ . : - up to 64.
func validActionID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '.' || c == ':' || c == '-'):
		default:
			return false
		}
	}
	return true
}

func (c *bundleCheck) escalation(at string, e *Escalation, depth int) {
	if e.AfterAttempts < 1 || e.AfterAttempts > 100 {
		c.bad.add(at+".afterAttempts", "must be from 1 to 100")
	}
	switch {
	case depth > MaxEscalations:
		c.bad.add(at, "must not be nested more than %d deep", MaxEscalations)
	case e.EscalatesTo == nil:
		c.bad.add(at+".escalatesTo", "must be an action")
	default:
		c.action(at+".escalatesTo", e.EscalatesTo, depth)
	}
}

func (p *RetryPolicy) validate(bad *problems, at string) {
	if p == nil {
		return
	}
	if p.MaxAttempts < 0 || p.MaxAttempts > 100 {
		bad.add(at+".maxAttempts", "must be from 1 to 100")
	}
	if p.BackoffInitialMs < 0 || p.BackoffInitialMs > 86_400_000 {
		bad.add(at+".backoffInitialMs", "must be from 1 to 86400000 (a day)")
	}
	if p.BackoffMultiplier != 0 && (p.BackoffMultiplier < 1 || p.BackoffMultiplier > 100) {
		bad.add(at+".backoffMultiplier", "must be from 1 to 100")
	}
	if p.BackoffMaxMs < 0 || p.BackoffMaxMs > 604_800_000 {
		bad.add(at+".backoffMaxMs", "must be from 1 to 604800000 (a week)")
	}
	if len(p.RetryOn) > 50 {
		bad.add(at+".retryOn", "must be at most 50, not %d", len(p.RetryOn))
		return
	}
	for i, on := range p.RetryOn {
		if !retryOnPattern.MatchString(on) && !slices.Contains(RetryOnClasses, on) {
			bad.add(fmt.Sprintf("%s.retryOn[%d]", at, i), "must be an HTTP status from 300 to 499, or one of %v", RetryOnClasses)
		}
	}
}

// retryOnPattern: 5xx are retried anyway, and 2xx are no failure.
var retryOnPattern = regexp.MustCompile(`^[34][0-9]{2}$`)
