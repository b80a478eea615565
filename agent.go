package minoots

import (
	"encoding/json"
	"strings"
)

// AgentBinding ties a timer to the agent that it wakes.
type AgentBinding struct {
	Adapter                  string          `json:"adapter" maxLength:"64" doc:"mcp, langchain, autogen or custom."`
	Target                   string          `json:"target" maxLength:"2048" doc:"Where the agent is, in the adapter's own terms."`
	PayloadTemplate          json.RawMessage `json:"payloadTemplate,omitempty" doc:"Merged with the timer's context."`
	AcknowledgementTimeoutMs int64           `json:"acknowledgementTimeoutMs,omitempty" minimum:"0" maximum:"604800000" doc:"Default 60000."`
}

// The adapters of the contract: how an agent is spoken to.
const (
	AdapterMCP       = "mcp"       // a tool of an MCP server, over streamable HTTP
	AdapterLangChain = "langchain" // LangServe, or LangGraph's platform
	AdapterAutoGen   = "autogen"   // AutoGen's chat service, or AutoGen Studio
	AdapterCustom    = "custom"    // an HTTP POST of the payload
)

// AgentAdapters lists the adapters of the contract.
var AgentAdapters = []string{AdapterMCP, AdapterLangChain, AdapterAutoGen, AdapterCustom}

// Acknowledgement is how an agent says that it has taken a delivery on: by a POST
// to the URL, before it expires. Adapters send it with the delivery.
type Acknowledgement struct {
	URL       string  `json:"url"`
	Token     string  `json:"token"`
	ExpiresAt Instant `json:"deadline"`
}

// WithDefaults gives the binding with its default written out.
func (a AgentBinding) WithDefaults() AgentBinding {
	if a.AcknowledgementTimeoutMs == 0 {
		a.AcknowledgementTimeoutMs = 60_000
	}
	return a
}

func (a *AgentBinding) validate(bad *problems, check func(*AgentBinding) []FieldError) {
	const at = "agentBinding"
	checkText(bad, at+".adapter", a.Adapter, 64)
	checkText(bad, at+".target", a.Target, 2048)
	if a.Adapter == "" || a.Target == "" {
		bad.add(at, "must name an adapter and a target")
	}
	if a.AcknowledgementTimeoutMs < 0 || a.AcknowledgementTimeoutMs > 604_800_000 {
		bad.add(at+".acknowledgementTimeoutMs", "must be from 1 to 604800000 (a week)")
	}
	if check != nil && a.Adapter != "" && a.Target != "" {
		for _, f := range check(a) {
			bad.add(strings.TrimSuffix(at+"."+f.Path, "."), "%s", f.Message)
		}
	}
}
