package action

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/minoots/minoots"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counterpart is an HTTP service with the routes of an agent framework. It checks
// what it gets as that does: 404 for other routes, 422 for another shape.
func counterpart(t *testing.T, routes map[string]func(body map[string]any) (status int, answer string)) (string, chan request) {
	t.Helper()
	seen := make(chan request, 16)
	mux := http.NewServeMux()
	for pattern, route := range routes {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			raw := readAllOf(r)
			seen <- request{r, raw}
			var body map[string]any
			if r.Method == http.MethodPost && json.Unmarshal(raw, &body) != nil {
				w.WriteHeader(http.StatusUnprocessableEntity)
				return
			}
			status, answer := route(body)
			answering(status, answer)(w, r)
		})
	}
	return receiver(t, mux.ServeHTTP).URL, seen
}

// onlyThese answers 422 to a body with other fields than a framework's model has.
func onlyThese(required, optional string, ok func(map[string]any) bool, answer string) func(map[string]any) (int, string) {
	return func(body map[string]any) (int, string) {
		for _, name := range strings.Fields(required) {
			if _, there := body[name]; !there {
				return http.StatusUnprocessableEntity, `{"detail": "missing ` + name + `"}`
			}
		}
		for name := range body {
			if !strings.Contains(" "+required+" "+optional+" ", " "+name+" ") {
				return http.StatusUnprocessableEntity, `{"detail": "extra ` + name + `"}`
			}
		}
		if !ok(body) {
			return http.StatusUnprocessableEntity, `{"detail": "wrong types"}`
		}
		return http.StatusOK, answer
	}
}

// langServer has the routes of LangServe and of LangGraph's platform.
func langServer(t *testing.T) (string, chan request) {
	run := onlyThese("assistant_id", "input metadata config context if_not_exists multitask_strategy on_disconnect webhook", func(b map[string]any) bool {
		_, text := b["assistant_id"].(string)
		_, object := b["metadata"].(map[string]any)
		return text && object
	}, `{"run_id": "1ef4a9b8", "thread_id": "t", "status": "pending"}`)
	return counterpart(t, map[string]func(map[string]any) (int, string){
		"POST /chain/invoke": onlyThese("input", "config kwargs", func(b map[string]any) bool {
			_, object := b["config"].(map[string]any)
			_, kwargs := b["kwargs"].(map[string]any)
			return object && kwargs
		}, `{"output": "done", "metadata": {"run_id": "1", "feedback_tokens": []}}`),
		"POST /runs":                  run,
		"POST /threads/thread-1/runs": run,
		"POST /runs/wait":             run,
		"POST /threads/broken/runs/wait": func(map[string]any) (int, string) {
			return http.StatusOK, `{"__error__": {"error": "ValueError", "message": "s3cret"}}`
		},
	})
}

func received(t *testing.T, seen chan request) (request, map[string]any) {
	t.Helper()
	got := <-seen
	var body map[string]any
	require.NoError(t, json.Unmarshal(got.body, &body))
	verify(t, got, "a signing secret, s3cret")
	assert.Equal(t, "01890a5d-ac96-774b-bcce-b302099a8057_1_wake", got.Header.Get("webhook-id"))
	assert.NotEmpty(t, got.Header.Get("traceparent"))
	return got, body
}

func TestLangServe(t *testing.T) {
	t.Parallel()
	url, seen := langServer(t)
	for name, c := range map[string]struct{ parameters, template, input string }{
		"prompt":   {`{"api": "langserve", "prompt": "go on"}`, ``, `"go on"`},
		"template": {`{"api": "langserve", "prompt": "go on"}`, `{"topic": "{{ metadata.step }}"}`, `{"topic": 3, "prompt": "go on"}`},
	} {
		d := prompt(minoots.AdapterLangChain, url+"/chain/", c.parameters, c.template)
		out := testAgent(t).Execute(t.Context(), d, 1)
		require.True(t, out.Success, "%s: %s %s", name, out.Error, out.Response)
		_, body := received(t, seen)
		input, _ := json.Marshal(body["input"])
		assert.JSONEq(t, c.input, string(input))
		metadata := body["config"].(map[string]any)["metadata"].(map[string]any)
		assert.Equal(t, d.WebhookID(), metadata["webhookId"])
		assert.Equal(t, d.Timer.ID.String(), metadata["timerId"])
	}
}

func TestLangGraph(t *testing.T) {
	t.Parallel()
	url, seen := langServer(t)
	for name, c := range map[string]struct{ parameters, template, path, input string }{
		"stateless": {`{"api": "langgraph", "assistantId": "agent", "prompt": "go on"}`, ``, "/runs",
			`{"messages": [{"role": "user", "content": "go on"}]}`},
		"thread": {`{"api": "langgraph", "assistantId": "agent", "threadId": "thread-1", "prompt": "go on"}`, `{"step": "{{ metadata.step + 1 }}"}`, "/threads/thread-1/runs",
			`{"messages": [{"role": "user", "content": "go on"}], "step": 4}`},
		"wait": {`{"api": "langgraph", "assistantId": "agent", "wait": true}`, `{"messages": [{"role": "user", "content": "wake {{ timer.name }}"}]}`, "/runs/wait",
			`{"messages": [{"role": "user", "content": "wake resume-research"}]}`},
	} {
		d := prompt(minoots.AdapterLangChain, url, c.parameters, c.template)
		d.Acknowledgement = askedToAcknowledge
		out := testAgent(t).Execute(t.Context(), d, 1)
		require.True(t, out.Success, "%s: %s %s", name, out.Error, out.Response)
		got, body := received(t, seen)
		assert.Equal(t, c.path, got.URL.Path)
		input, _ := json.Marshal(body["input"])
		assert.JSONEq(t, c.input, string(input))
		assert.Equal(t, d.WebhookID(), body["metadata"].(map[string]any)["webhookId"])
		assert.Equal(t, "t0ken", body["metadata"].(map[string]any)["acknowledgement"].(map[string]any)["token"])
		assert.Equal(t, name == "wait", out.Acknowledged, "%s: a run that was waited for has ended", name)
		if name == "thread" {
			assert.Equal(t, "enqueue", body["multitask_strategy"])
			assert.Equal(t, "create", body["if_not_exists"])
		}
	}
	out := testAgent(t).Execute(t.Context(), prompt(minoots.AdapterLangChain, url, `{"api": "langgraph", "assistantId": "a", "threadId": "broken", "wait": true}`, ""), 1)
	assert.Equal(t, ClassAgent, out.ErrorClass)
	assert.Contains(t, string(out.Response), "ValueError", "the record has what the run said")
}

// autoGen has the routes of AutoGen's FastAPI service and of AutoGen Studio.
func autoGen(t *testing.T) (string, chan request) {
	studio := func(map[string]any) (int, string) {
		return http.StatusOK, `{"status": true, "message": "Task successfully completed", "data": {}}`
	}
	return counterpart(t, map[string]func(map[string]any) (int, string){
		"POST /chat": onlyThese("source content", "type models_usage metadata id created_at", func(b map[string]any) bool {
			for _, value := range b["metadata"].(map[string]any) { // Dict[str, str]
				if _, text := value.(string); !text {
					return false
				}
			}
			_, text := b["content"].(string)
			return text && b["type"] == "TextMessage"
		}, `{"source": "assistant", "content": "done", "type": "TextMessage"}`),
		"GET /predict/{task}":                   studio,
		"GET /studio/predict_team/sales/{task}": studio,
	})
}

func TestAutoGenChat(t *testing.T) {
	t.Parallel()
	url, seen := autoGen(t)
	d := prompt(minoots.AdapterAutoGen, url+"/chat", `{"api": "chat", "prompt": "Go on."}`, `{"step": "{{ metadata.step }}"}`)
	d.Acknowledgement = askedToAcknowledge
	out := testAgent(t).Execute(t.Context(), d, 1)
	require.True(t, out.Success, "%s %s", out.Error, out.Response)
	_, body := received(t, seen)
	words, raw, _ := strings.Cut(body["content"].(string), "\n\n")
	assert.Equal(t, "Go on.", words)
	assert.JSONEq(t, `{"step": 3, "acknowledgement": {"url": "https://minoots.example.com/v1/acks/t0ken", "token": "t0ken", "deadline": "2026-11-23T09:01:00.000000Z"}}`, raw)
	assert.Equal(t, d.WebhookID(), body["metadata"].(map[string]any)["webhookId"])
	assert.Equal(t, "t0ken", body["metadata"].(map[string]any)["acknowledgementToken"])
}

func TestAutoGenStudio(t *testing.T) {
	t.Parallel()
	url, seen := autoGen(t)
	for _, c := range []struct{ target, parameters, template, path, task string }{
		{url, `{"api": "studio", "prompt": "What is 50% of é? #1"}`, ``, "/predict/", "What is 50% of é? #1"},
		{url + "/studio/", `{"api": "studio", "team": "sales", "prompt": "Go on"}`, `{"url": "https://example.com/{{ timer.name }}"}`, "/studio/predict_team/sales/",
			"Go on\n\n" + `{"url":"https:\u002f\u002fexample.com\u002fresume-research"}`},
	} {
		out := testAgent(t).Execute(t.Context(), prompt(minoots.AdapterAutoGen, c.target, c.parameters, c.template), 1)
		require.True(t, out.Success, "%s %s", out.Error, out.Response)
		got := <-seen
		assert.Equal(t, c.path+c.task, got.URL.Path)
		verify(t, got, "a signing secret, s3cret")
	}
	out := testAgent(t).Execute(t.Context(), prompt(minoots.AdapterAutoGen, url, `{"api": "studio", "prompt": "`+strings.Repeat("x", maxStudioTask+1)+`"}`, ``), 1)
	assert.Equal(t, ClassParameters, out.ErrorClass)
	assert.Contains(t, out.Error, "chat api")
	out = testAgent(t).Execute(t.Context(), prompt(minoots.AdapterAutoGen, receiver(t, answering(200, "hello")).URL, `{"api": "studio", "prompt": "x"}`, ``), 1)
	assert.Equal(t, ClassProtocol, out.ErrorClass)
}

func TestCustomAgent(t *testing.T) {
	t.Parallel()
	url, seen := recorder(t)
	d := prompt(minoots.AdapterCustom, url+"/wake?x=1", `{"prompt": "Go on.", "headers": {"Authorization": "Bearer k"}}`, ``)
	d.Acknowledgement = askedToAcknowledge
	require.True(t, testAgent(t).Execute(t.Context(), d, 1).Success)
	got, body := received(t, seen)
	assert.Equal(t, "POST /wake?x=1", got.Method+" "+got.RequestURI)
	assert.Equal(t, "Bearer k", got.Header.Get("Authorization"))
	assert.Equal(t, "timer.fired", body["type"])
	assert.Equal(t, "Go on.", body["prompt"])
	assert.Equal(t, "t0ken", body["acknowledgement"].(map[string]any)["token"])
	assert.Equal(t, "agent_prompt", body["data"].(map[string]any)["action"].(map[string]any)["kind"])

	d.AgentBinding.PayloadTemplate = json.RawMessage(`{"prompt": "{{ timer.name }}, go on", "n": [1, "{{ attempt }}", null]}`)
	require.True(t, testAgent(t).Execute(t.Context(), d, 2).Success)
	_, body = received(t, seen)
	assert.Equal(t, "resume-research, go on", body["prompt"], "the template's own wins")
	assert.Equal(t, []any{1.0, 2.0, nil}, body["n"])
	assert.NotContains(t, body, "data")
}

func TestCheckAgent(t *testing.T) {
	t.Parallel()
	registry := NewRegistry(Config{})
	t.Cleanup(registry.Close)
	for name, c := range map[string]struct {
		binding minoots.AgentBinding
		want    map[string]string
	}{
		"good":        {minoots.AgentBinding{Adapter: "mcp", Target: "https://agents.example.com/mcp", PayloadTemplate: json.RawMessage(`{"a": "{{ timer.name }}"}`)}, nil},
		"no template": {minoots.AgentBinding{Adapter: "custom", Target: "https://agents.example.com", PayloadTemplate: json.RawMessage(`null`)}, nil},
		"adapter":     {minoots.AgentBinding{Adapter: "crewai", Target: "https://agents.example.com"}, map[string]string{"adapter": "mcp, langchain, autogen, custom"}},
		"scheme":      {minoots.AgentBinding{Adapter: "mcp", Target: "stdio://x"}, map[string]string{"target": "https://"}},
		"private":     {minoots.AgentBinding{Adapter: "mcp", Target: "http://169.254.169.254/mcp"}, map[string]string{"target": "MINOOTS_WEBHOOK_ALLOW_CIDRS"}},
		"password":    {minoots.AgentBinding{Adapter: "mcp", Target: "https://a:s3cret@agents.example.com"}, map[string]string{"target": "user name"}},
		"all at once": {minoots.AgentBinding{Adapter: "x", Target: "y", PayloadTemplate: json.RawMessage(`{"foo": [1, 2, "{{ timer.nmae }}"], "b": "{{ 1 + }}"}`)}, map[string]string{
			"adapter": "mcp", "target": "https://", "payloadTemplate.foo[2]": `no "nmae"`, "payloadTemplate.b": "does not compile"}},
	} {
		got := map[string]string{}
		for _, f := range registry.CheckAgent(&c.binding) {
			got[f.Path] = f.Message
			assert.NotContains(t, f.Message, "s3cret")
		}
		require.Len(t, got, len(c.want), "%s: %v", name, got)
		for path, says := range c.want {
			assert.Contains(t, got[path], says, name)
		}
	}
}
