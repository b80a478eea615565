package action

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/minoots/minoots"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// conformance is what the shared test needs to know about a kind, or an adapter of
// one. A new executor adds its line to conformances and must then keep what every
// one of them promises to the worker that calls it.
type conformance struct {
	kind  minoots.ActionKind
	agent string // the adapter, for agent_prompt
	// good gives parameters that succeed, with the word s3cret wherever one can
	// stand; and how to ask the other side which webhook-ids it has seen.
	good   func(t *testing.T, w *world) (parameters string, seen func() []string)
	failed func(t *testing.T, w *world) string // that fail, and may be retried
	hangs  func(t *testing.T, w *world) string // that get no answer for a minute
	bad    []string                            // that do not validate
}

// world is what executors of a test talk to.
type world struct {
	registry *Registry
	target   string // of the agent's binding
	stream   jetstream.JetStream
}

var conformances = map[string]conformance{
	"webhook": {
		kind:   minoots.KindWebhook,
		good:   httpGood(http.StatusOK, strings.Repeat("long \xff\x00", 2000), `{"url": "%s?token=s3cret", "headers": {"Authorization": "s3cret"}, "body": "s3cret"}`),
		failed: httpBad(answering(http.StatusServiceUnavailable, "later \xff\x00"), `{"url": "%s"}`),
		hangs:  httpBad(hanging, `{"url": "%s", "timeoutMs": 60000}`),
		bad:    []string{``, `null`, `7`, `[]`, `{`, `{"url": ""}`, `{"url": "http://127.0.0.1", "method": 7}`, `{"url": "http://s3cret:s3cret@127.0.0.1"}`},
	},
	"custom": {
		kind: minoots.KindAgentPrompt, agent: minoots.AdapterCustom,
		good:   httpGood(http.StatusOK, strings.Repeat("long \xff\x00", 2000), `{"prompt": "s3cret", "headers": {"Authorization": "s3cret"}}`),
		failed: httpBad(answering(http.StatusServiceUnavailable, "later"), `{}`),
		hangs:  httpBad(hanging, `{"timeoutMs": 60000}`),
		bad:    []string{`7`, `[]`, `{`, `{"prompt": 7}`, `{"prompt": "a\u0000s3cret"}`, `{"tool": "s3cret"}`, `{"timeoutMs": 0}`, `{"headers": {"host": "s3cret"}}`},
	},
	"langserve": {
		kind: minoots.KindAgentPrompt, agent: minoots.AdapterLangChain,
		good:   httpGood(http.StatusOK, `{"output": "long", "metadata": {"run_id": "1"}}`, `{"api": "langserve", "prompt": "s3cret"}`),
		failed: httpBad(answering(http.StatusInternalServerError, "Internal Server Error"), `{"api": "langserve"}`),
		hangs:  httpBad(hanging, `{"api": "langserve", "timeoutMs": 60000}`),
		bad:    []string{``, `{}`, `{"api": "s3cret"}`, `{"api": "langserve", "assistantId": "a"}`, `{"api": "langgraph"}`, `{"api": "langgraph", "assistantId": "a/b"}`, `{"api": "langgraph", "assistantId": "a", "threadId": "../s3cret"}`, `{"api": "langgraph", "assistantId": "a", "wait": "yes"}`},
	},
	"langgraph": {
		kind: minoots.KindAgentPrompt, agent: minoots.AdapterLangChain,
		good:   httpGood(http.StatusOK, `{"run_id": "1", "status": "pending"}`, `{"api": "langgraph", "assistantId": "agent", "prompt": "s3cret", "wait": true}`),
		failed: httpBad(answering(http.StatusOK, `{"__error__": {"error": "ValueError", "message": "s3cret"}}`), `{"api": "langgraph", "assistantId": "a", "wait": true}`),
		hangs:  httpBad(hanging, `{"api": "langgraph", "assistantId": "a", "timeoutMs": 60000}`),
		bad:    []string{``, `{"api": "langgraph", "assistantId": 7}`},
	},
	"chat": {
		kind: minoots.KindAgentPrompt, agent: minoots.AdapterAutoGen,
		good:   httpGood(http.StatusOK, `{"type": "TextMessage", "source": "assistant", "content": "done"}`, `{"api": "chat", "prompt": "s3cret"}`),
		failed: httpBad(answering(http.StatusInternalServerError, `{"detail": "s3cret"}`), `{"api": "chat", "prompt": "go"}`),
		hangs:  httpBad(hanging, `{"api": "chat", "prompt": "go", "timeoutMs": 60000}`),
		bad:    []string{``, `{"api": "chat"}`, `{"api": "chat", "prompt": "go", "team": "s3cret"}`},
	},
	"studio": {
		kind: minoots.KindAgentPrompt, agent: minoots.AdapterAutoGen,
		good:   httpGood(http.StatusOK, `{"status": true, "message": "Task successfully completed", "data": {}}`, `{"api": "studio", "prompt": "go on, s3cret?"}`),
		failed: httpBad(answering(http.StatusOK, `{"status": false, "message": "s3cret"}`), `{"api": "studio", "prompt": "go"}`),
		hangs:  httpBad(hanging, `{"api": "studio", "prompt": "go", "timeoutMs": 60000}`),
		bad:    []string{``, `{"api": "studio"}`, `{"api": "studio", "prompt": "s3cret/or/two"}`, `{"api": "studio", "prompt": "go", "team": "a/b"}`},
	},
	"mcp": {
		kind: minoots.KindAgentPrompt, agent: minoots.AdapterMCP,
		good:   mcpGood,
		failed: mcpBad("breaks"),
		hangs:  mcpBad("hangs"),
		bad:    []string{``, `null`, `{}`, `{"tool": ""}`, `{"tool": "wake up"}`, `{"tool": "wake", "arguments": [1]}`, `{"tool": "wake", "api": "s3cret"}`},
	},
	"workflow_event": {
		kind:   minoots.KindWorkflowEvent,
		good:   natsGood,
		failed: func(*testing.T, *world) string { return `{"event": "nobody.takes"}` },
		hangs:  natsSilent,
		bad:    []string{`7`, `[]`, `{`, `{"event": "a..b"}`, `{"event": "*"}`, `{"event": "a.>"}`, `{"event": "a b"}`, `{"event": "$JS"}`, `{"headers": {"Nats-Msg-Id": "s3cret"}}`, `{"timeoutMs": -1}`},
	},
	"command": {
		kind:   minoots.KindCommand,
		good:   commandGood,
		failed: func(*testing.T, *world) string { return `{"program": "/bin/sh", "args": ["-c", "exit 75"]}` },
		hangs: func(*testing.T, *world) string {
			return `{"program": "/bin/sh", "args": ["-c", "sleep 120"], "timeoutMs": 60000}`
		},
		bad: []string{``, `null`, `[]`, `{"program": "sh"}`, `{"program": "/bin/sh", "args": "s3cret"}`, `{"program": "/bin/sh", "args": [7]}`, `{"program": "/bin/sh", "args": ["s3cret\u0000"]}`, `{"program": "/bin/sh", "timeoutMs": 300001}`},
	},
}

// newWorld builds all executors, with real counterparts.
func newWorld(t *testing.T) *world {
	stream := natsServer(t)
	w := &world{stream: stream, registry: NewRegistry(Config{
		Secrets: fixedSecrets{[]byte("s3cret")}, Allow: loopback, NATS: stream, Commands: []string{"/bin/sh"},
	})}
	t.Cleanup(w.registry.Close)
	return w
}

// ids remembers which webhook-ids were seen.
type ids struct {
	mu   sync.Mutex
	seen []string
}

func (i *ids) add(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen = append(i.seen, id)
}

func (i *ids) list() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(i.seen)))
}

func httpGood(status int, answer, parameters string) func(*testing.T, *world) (string, func() []string) {
	return func(t *testing.T, w *world) (string, func() []string) {
		var seen ids
		w.target = receiver(t, func(rw http.ResponseWriter, r *http.Request) {
			seen.add(r.Header.Get("webhook-id"))
			answering(status, answer)(rw, r)
		}).URL
		return strings.Replace(parameters, "%s", w.target, 1), seen.list
	}
}

func httpBad(handler http.HandlerFunc, parameters string) func(*testing.T, *world) string {
	return func(t *testing.T, w *world) string {
		w.target = receiver(t, handler).URL
		return strings.Replace(parameters, "%s", w.target, 1)
	}
}

func TestExecutorsConform(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for _, kind := range all.registry.Kinds() {
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Values(conformances)), func(c conformance) bool { return c.kind == kind }),
			"%s has no line in conformances", kind)
	}
	require.Equal(t, minoots.ActionKinds, all.registry.Kinds())
	for name, c := range conformances {
		t.Run(name, func(t *testing.T) { c.run(t, all) })
	}
}

// delivery makes one with these parameters, bound to the world's agent.
func (c conformance) delivery(w *world, parameters string) minoots.Delivery {
	d := testDelivery(c.kind, parameters)
	d.AgentBinding = c.binding(w)
	return d
}

func (c conformance) binding(w *world) *minoots.AgentBinding {
	if c.agent == "" {
		return nil
	}
	target := w.target
	if target == "" {
		target = "https://agents.example.com/"
	}
	return &minoots.AgentBinding{Adapter: c.agent, Target: target}
}

func (c conformance) run(t *testing.T, all *world) {
	execute := func(ctx context.Context, t *testing.T, d minoots.Delivery) minoots.Outcome {
		out := all.registry.Execute(ctx, d, 1)
		requireWellFormed(t, out)
		return out
	}
	local := func() *world { return &world{registry: all.registry, stream: all.stream} }
	t.Run("success", func(t *testing.T) {
		t.Parallel()
		w := local()
		parameters, seen := c.good(t, w)
		d := c.delivery(w, parameters)
		assert.Empty(t, w.registry.Check(c.kind, d.Action.Parameters, d.AgentBinding))
		var wg sync.WaitGroup // one executor serves all workers
		for range 8 {
			wg.Go(func() {
				out := execute(t.Context(), t, d)
				assert.True(t, out.Success, out.Error)
			})
		}
		wg.Wait()
		assert.Equal(t, []string{d.WebhookID()}, seen())
		assert.NotEmpty(t, w.registry.Destination(&d))
	})
	t.Run("failure", func(t *testing.T) {
		t.Parallel()
		w := local()
		out := execute(t.Context(), t, c.delivery(w, c.failed(t, w)))
		assert.False(t, out.Success)
		assert.True(t, out.Retryable, out.Error)
	})
	t.Run("bad parameters", func(t *testing.T) {
		t.Parallel()
		w := local()
		for _, parameters := range c.bad {
			d := c.delivery(w, parameters)
			bad := w.registry.Check(c.kind, d.Action.Parameters, d.AgentBinding)
			assert.NotEmpty(t, bad, parameters)
			for _, f := range bad {
				assert.True(t, f.Path == "parameters" || strings.HasPrefix(f.Path, "parameters."), f.Path)
				assert.NotContains(t, f.Message, "s3cret")
			}
			out := execute(t.Context(), t, d)
			assert.Equal(t, ClassParameters, out.ErrorClass, parameters)
			assert.False(t, out.Retryable, "they will not get better")
		}
	})
	t.Run("unknown parameter", func(t *testing.T) {
		t.Parallel()
		w := local()
		parameters, _ := c.good(t, w)
		d := c.delivery(w, strings.Replace(parameters, "{", `{"nonsense": 1, `, 1))
		bad := w.registry.Check(c.kind, d.Action.Parameters, d.AgentBinding)
		require.Len(t, bad, 1)
		assert.Equal(t, "parameters.nonsense", bad[0].Path)
	})
	t.Run("shutdown", func(t *testing.T) {
		t.Parallel()
		w := local()
		d := c.delivery(w, c.hangs(t, w))
		for _, after := range []time.Duration{0, 100 * time.Millisecond} { // before it begins; when it has begun, likely
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(after, cancel)
			if after == 0 {
				cancel()
			}
			began := time.Now()
			out := execute(ctx, t, d)
			assert.Equal(t, ClassCancelled, out.ErrorClass)
			assert.True(t, out.Retryable, "another replica will do it")
			assert.Less(t, time.Since(began), 30*time.Second, "long before its own timeout")
		}
	})
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		w := local()
		d := c.delivery(w, strings.Replace(c.hangs(t, w), "{", `{"timeoutMs": 50, `, 1))
		d.Action.Parameters = json.RawMessage(strings.Replace(string(d.Action.Parameters), `"timeoutMs": 60000`, `"timeoutMs": 50`, 1))
		out := execute(t.Context(), t, d)
		assert.Equal(t, ClassTimeout, out.ErrorClass)
		assert.True(t, out.Retryable)
	})
}

// requireWellFormed holds an outcome to what the recorder stores without looking.
func requireWellFormed(t *testing.T, out minoots.Outcome) {
	t.Helper()
	assert.False(t, out.StartedAt.IsZero() || out.FinishedAt.Before(out.StartedAt))
	assert.LessOrEqual(t, len(out.Response), minoots.MaxResponseCapture)
	assert.True(t, utf8.Valid(out.Response) && !strings.Contains(string(out.Response), "\x00"), "Postgres text")
	assert.GreaterOrEqual(t, out.RetryAfter, time.Duration(0))
	if out.Success {
		assert.Empty(t, out.ErrorClass+out.Error)
		return
	}
	_, known := retriedClass[out.ErrorClass]
	assert.True(t, known || out.ErrorClass == ClassHTTPStatus, "class %q is not in the table", out.ErrorClass)
	assert.NotEmpty(t, out.Error)
	assert.NotContains(t, out.Error, "s3cret")
	assert.NotContains(t, out.Error, "\n")
}

func TestRegistryRefusesKindsItDoesNotHave(t *testing.T) {
	t.Parallel()
	registry := NewRegistry(Config{})
	assert.Equal(t, []minoots.ActionKind{minoots.KindWebhook, minoots.KindAgentPrompt}, registry.Kinds(), "the others are an operator's to allow")
	for kind, setting := range map[minoots.ActionKind]string{minoots.KindWorkflowEvent: "MINOOTS_NATS_URL", minoots.KindCommand: "MINOOTS_COMMAND_ALLOW"} {
		bad := registry.Check(kind, nil, nil)
		require.Len(t, bad, 1)
		assert.Equal(t, "kind", bad[0].Path)
		assert.Contains(t, bad[0].Message, setting)
	}
	assert.Equal(t, []minoots.FieldError{{Path: "kind", Message: `"carrier_pigeon" actions are not available in this version`}},
		registry.Check("carrier_pigeon", nil, nil))
	out := registry.Execute(t.Context(), testDelivery("carrier_pigeon", `{}`), 1)
	requireWellFormed(t, out)
	assert.Equal(t, ClassUnavailable, out.ErrorClass)
	assert.True(t, out.Retryable, "a replica of another version may know it")
}
