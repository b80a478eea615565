package action

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/minoots/minoots"
)

// Agent wakes the agent of a timer's binding, by the adapter that the binding
// names. All of them speak HTTP: through the same guard, signed the same way and
// under the same webhook-id as webhooks.
type Agent struct {
	*sender
	templates *templates
	version   string
}

var _ Executor = (*Agent)(nil)

func newAgent(s *sender, version string) *Agent {
	return &Agent{sender: s, templates: newTemplates(), version: version}
}

// Check implements Executor. The binding has its own check, Registry.CheckAgent.
func (a *Agent) Check(parameters json.RawMessage, agent *minoots.AgentBinding) []minoots.FieldError {
	if agent == nil {
		return []minoots.FieldError{{Path: "kind", Message: "agent_prompt needs an agentBinding, which says which agent to wake"}}
	}
	_, bad := parseAgent(parameters, agent)
	var own []minoots.FieldError
	for _, f := range bad {
		if f.Path != targetPath { // told at the binding
			own = append(own, f)
		}
	}
	return own
}

// Destination implements Executor: the target's scheme, host and port.
func (a *Agent) Destination(d *minoots.Delivery) string {
	if d.AgentBinding == nil {
		return ""
	}
	return originOf(d.AgentBinding.Target)
}

// call is one attempt at waking an agent.
type call struct {
	d       *minoots.Delivery
	attempt int
	spec    *agentSpec
	payload *payload        // the firing, as webhooks tell it
	input   json.RawMessage // the template's result, an object; nil without a template
}

// Execute implements Executor.
func (a *Agent) Execute(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome {
	return run(a.now, func(out *minoots.Outcome) failure {
		if d.AgentBinding == nil {
			return failure{ClassParameters, "the timer has no agentBinding"}
		}
		spec, bad := parseAgent(d.Action.Parameters, d.AgentBinding)
		if len(bad) > 0 {
			return failure{ClassParameters, bad[0].Path + " " + bad[0].Message}
		}
		c := &call{d: &d, attempt: attempt, spec: spec}
		if failed := a.fill(ctx, c); failed.class != "" {
			return failed
		}
		switch d.AgentBinding.Adapter {
		case minoots.AdapterMCP:
			return a.callTool(ctx, c, out)
		default:
			m, verdict, failed := c.message(d.AgentBinding.Adapter)
			if failed.class != "" {
				return failed
			}
			failed = a.send(ctx, m, spec.timeout(), verdict, out)
			// An answer that comes when the agent has done its work needs no other word.
			out.Acknowledged = failed.class == "" && spec.answersWhenDone()
			return failed
		}
	})
}

// fill evaluates the binding's template over the firing.
func (a *Agent) fill(ctx context.Context, c *call) failure {
	payload := newPayload(c.d, c.attempt)
	c.payload = &payload
	if !hasTemplate(c.d.AgentBinding) {
		return failure{}
	}
	compiled, bad := a.templates.compile(c.d.AgentBinding.PayloadTemplate)
	if len(bad) > 0 {
		return failure{ClassTemplate, "agentBinding." + bad[0].Path + " " + bad[0].Message}
	}
	variables, err := templateContext(c.payload, c.d.Acknowledgement)
	if err != nil {
		return failure{ClassParameters, "the delivery cannot be read as JSON"}
	}
	limited, cancel := context.WithTimeout(ctx, c.spec.timeout())
	defer cancel()
	switch c.input, err = compiled.render(limited, variables); {
	case err == nil:
		return failure{}
	case errors.Is(ctx.Err(), context.Canceled):
		return failureOf(ctx, limited, err, c.spec.timeout())
	case limited.Err() != nil:
		return failure{ClassTimeout, "the payload template was not evaluated in time"}
	default:
		return failure{ClassTemplate, err.Error()}
	}
}
