package action

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minoots/minoots"
)

// The APIs that an adapter can speak, where it has more than one.
const (
	apiLangServe = "langserve"
	apiLangGraph = "langgraph"
	apiChat      = "chat"   // one agent behind AutoGen's FastAPI service
	apiStudio    = "studio" // a team served by AutoGen Studio
)

var adapterAPIs = map[string][]string{
	minoots.AdapterLangChain: {apiLangServe, apiLangGraph},
	minoots.AdapterAutoGen:   {apiChat, apiStudio},
}

// agentParameters lists what may stand in the parameters, by adapter.
var agentParameters = map[string][]string{
	minoots.AdapterMCP:       {"prompt", "tool", "arguments", "headers", "timeoutMs"},
	minoots.AdapterLangChain: {"prompt", "api", "assistantId", "threadId", "wait", "headers", "timeoutMs"},
	minoots.AdapterAutoGen:   {"prompt", "api", "team", "headers", "timeoutMs"},
	minoots.AdapterCustom:    {"prompt", "headers", "timeoutMs"},
}

// maxPrompt bounds a prompt, in bytes.
const maxPrompt = 64 << 10

// agentSpec is the parameters of an agent_prompt, of all adapters together.
type agentSpec struct {
	Prompt      string            `json:"prompt"`
	Tool        string            `json:"tool"`        // mcp
	Arguments   json.RawMessage   `json:"arguments"`   // mcp
	API         string            `json:"api"`         // langchain, autogen
	AssistantID string            `json:"assistantId"` // langgraph
	ThreadID    string            `json:"threadId"`    // langgraph
	Wait        bool              `json:"wait"`        // langgraph
	Team        string            `json:"team"`        // studio
	Headers     map[string]string `json:"headers"`
	TimeoutMs   int64             `json:"timeoutMs"`

	target *url.URL // the binding's
}

func (s *agentSpec) timeout() time.Duration { return time.Duration(s.TimeoutMs) * time.Millisecond }

var (
	toolPattern = regexp.MustCompile(`^[A-Za-z0-9_./-]{1,128}$`)
	idPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)
)

// parseAgent reads and validates parameters for an adapter. Check and Execute
// share it, as with webhooks.
func parseAgent(parameters json.RawMessage, agent *minoots.AgentBinding) (*agentSpec, problems) {
	var bad problems
	s := &agentSpec{TimeoutMs: defaultTimeout.Milliseconds()}
	if len(parameters) > 0 {
		if err := json.Unmarshal(parameters, s); err != nil {
			return nil, problems{jsonProblem(err)}
		}
	}
	known, ok := agentParameters[agent.Adapter]
	if !ok { // told at the binding
		return nil, problems{{Path: "parameters", Message: "cannot be read without a known agentBinding.adapter"}}
	}
	bad.addUnknownOf(" of the "+agent.Adapter+" adapter", parameters, known)
	if len(s.Prompt) > maxPrompt || !utf8.ValidString(s.Prompt) || strings.ContainsRune(s.Prompt, 0) {
		bad.add("prompt", "must be at most %d bytes of UTF-8 without NUL", maxPrompt)
	}
	s.checkAPI(&bad, agent.Adapter)
	switch agent.Adapter {
	case minoots.AdapterMCP:
		s.checkMCP(&bad)
	case minoots.AdapterLangChain:
		s.checkLangChain(&bad)
	case minoots.AdapterAutoGen:
		s.checkAutoGen(&bad, agent)
	}
	checkHeaders(&bad, s.Headers)
	checkTimeout(&bad, s.TimeoutMs)
	var mistake string
	if s.target, mistake = parseTarget(agent.Target); mistake != "" && len(bad) == 0 {
		return nil, problems{{Path: targetPath, Message: mistake}}
	}
	return s, bad
}

func (s *agentSpec) checkAPI(bad *problems, adapter string) {
	apis := adapterAPIs[adapter]
	if len(apis) > 0 && !slices.Contains(apis, s.API) {
		bad.add("api", "must be %s for the %s adapter", strings.Join(apis, " or "), adapter)
	}
}

func (s *agentSpec) checkMCP(bad *problems) {
	if !toolPattern.MatchString(s.Tool) {
		bad.add("tool", "must name the MCP server's tool to call: 1 to 128 letters, digits and _ - . /")
	}
	if arguments := bytes.TrimSpace(s.Arguments); len(arguments) > 0 && arguments[0] != '{' && !isNull(arguments) {
		bad.add("arguments", "must be a JSON object")
	}
}

func (s *agentSpec) checkLangChain(bad *problems) {
	if s.API == apiLangGraph {
		if !idPattern.MatchString(s.AssistantID) {
			bad.add("assistantId", "must name the assistant or graph to run: 1 to 128 letters, digits and _ - .")
		}
		if s.ThreadID != "" && !idPattern.MatchString(s.ThreadID) {
			bad.add("threadId", "must be a thread's id: 1 to 128 letters, digits and _ - .")
		}
		return
	}
	for name, given := range map[string]bool{"assistantId": s.AssistantID != "", "threadId": s.ThreadID != "", "wait": s.Wait} {
		if given && s.API == apiLangServe {
			bad.add(name, "is for the langgraph api only")
		}
	}
}

func (s *agentSpec) checkAutoGen(bad *problems, agent *minoots.AgentBinding) {
	if s.API != apiStudio {
		if s.Team != "" {
			bad.add("team", "is for the studio api only")
		}
	} else if s.Team != "" && !idPattern.MatchString(s.Team) {
		bad.add("team", "must be the name of a team's file: 1 to 128 letters, digits and _ - .")
	}
	if s.API == apiStudio && strings.Contains(s.Prompt, "/") {
		bad.add("prompt", "must not contain a slash: AutoGen Studio takes the task from the path of its URL; the chat api takes any")
	}
	if s.Prompt == "" && !hasTemplate(agent) {
		bad.add("prompt", "is required without an agentBinding.payloadTemplate: an AutoGen agent gets a task in words")
	}
}

func isNull(raw json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(raw), []byte("null")) }

// checkBinding says what is wrong with a timer's binding. Paths are below
// "agentBinding".
func (a *Agent) checkBinding(agent *minoots.AgentBinding) []minoots.FieldError {
	var bad []minoots.FieldError
	if !slices.Contains(minoots.AgentAdapters, agent.Adapter) {
		bad = append(bad, minoots.FieldError{Path: "adapter", Message: "must be one of " + strings.Join(minoots.AgentAdapters, ", ")})
	}
	target, mistake := parseTarget(agent.Target)
	if mistake == "" && !a.guard.allowsHost(target.Hostname()) {
		mistake = privateHost(target.Hostname())
	}
	if mistake != "" {
		bad = append(bad, minoots.FieldError{Path: "target", Message: mistake})
	}
	if hasTemplate(agent) {
		_, wrong := a.templates.compile(agent.PayloadTemplate)
		bad = append(bad, wrong...)
	}
	return bad
}

func hasTemplate(agent *minoots.AgentBinding) bool {
	return len(agent.PayloadTemplate) > 0 && !isNull(agent.PayloadTemplate)
}

// answersWhenDone tells whether the service answers when the agent has done its
// work: it runs the agent for as long as the request lasts.
func (s *agentSpec) answersWhenDone() bool {
	switch s.API {
	case apiLangServe, apiChat, apiStudio:
		return true
	default:
		return s.API == apiLangGraph && s.Wait
	}
}
