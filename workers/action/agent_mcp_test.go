package action

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minoots/minoots"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// toolCall is what a tool was called with.
type toolCall struct {
	arguments map[string]any
	meta      mcp.Meta
}

// mcpServer is a real MCP server over streamable HTTP, with the tools wake, breaks
// and hangs. It gives its URL and what it saw.
func mcpServer(t *testing.T, options *mcp.StreamableHTTPOptions) (url string, calls func() []toolCall, requests func() []*http.Request) {
	t.Helper()
	var (
		mu   sync.Mutex
		made []toolCall
		seen []*http.Request
	)
	s := mcp.NewServer(&mcp.Implementation{Name: "counterpart", Version: "1"}, nil)
	done := make(chan struct{})
	tool := func(name string, do func(ctx context.Context) (*mcp.CallToolResult, error)) {
		s.AddTool(&mcp.Tool{Name: name, InputSchema: map[string]any{"type": "object"}}, func(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			c := toolCall{meta: r.Params.Meta}
			if err := json.Unmarshal(r.Params.Arguments, &c.arguments); err != nil {
				return nil, err
			}
			mu.Lock()
			made = append(made, c)
			mu.Unlock()
			return do(ctx)
		})
	}
	text := func(s string) []mcp.Content { return []mcp.Content{&mcp.TextContent{Text: s}} }
	tool("wake", func(context.Context) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: text("awake " + strings.Repeat("long ", 2000))}, nil
	})
	tool("breaks", func(context.Context) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{IsError: true, Content: text("s3cret: the calendar is away")}, nil
	})
	tool("faults", func(context.Context) (*mcp.CallToolResult, error) { return nil, errors.New("s3cret fault") })
	tool("hangs", func(ctx context.Context) (*mcp.CallToolResult, error) {
		select {
		case <-ctx.Done():
		case <-done:
		}
		return nil, errors.New("gave up")
	})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, options)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Clone(context.WithoutCancel(r.Context())))
		mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(done) })
	return server.URL + "/mcp", func() []toolCall {
			mu.Lock()
			defer mu.Unlock()
			return made
		}, func() []*http.Request {
			mu.Lock()
			defer mu.Unlock()
			return seen
		}
}

func mcpGood(t *testing.T, w *world) (string, func() []string) {
	url, calls, requests := mcpServer(t, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	w.target = url
	return `{"tool": "wake", "prompt": "s3cret", "arguments": {"a": 1}, "headers": {"Authorization": "Bearer s3cret"}}`, func() []string {
		var seen ids
		for _, c := range calls() {
			delivery, _ := c.meta[metaDelivery].(map[string]any)
			id, _ := delivery["id"].(string)
			seen.add(id)
		}
		for _, r := range requests() {
			seen.add(r.Header.Get("webhook-id"))
		}
		return seen.list()
	}
}

func mcpBad(tool string) func(*testing.T, *world) string {
	return func(t *testing.T, w *world) string {
		w.target, _, _ = mcpServer(t, &mcp.StreamableHTTPOptions{Stateless: true})
		return `{"tool": "` + tool + `", "timeoutMs": 60000}`
	}
}

// testAgent builds an executor that may reach loopback.
func testAgent(t *testing.T) *Agent {
	t.Helper()
	s := newSender(Config{Secrets: fixedSecrets{[]byte("a signing secret, s3cret")}, Allow: loopback, Version: "1.2.3"})
	t.Cleanup(s.Close)
	return newAgent(s, "1.2.3")
}

func prompt(adapter, target, parameters, template string) minoots.Delivery {
	d := testDelivery(minoots.KindAgentPrompt, parameters)
	d.AgentBinding = &minoots.AgentBinding{Adapter: adapter, Target: target, PayloadTemplate: json.RawMessage(template)}
	return d
}

var askedToAcknowledge = &minoots.Acknowledgement{
	URL: "https://minoots.example.com/v1/acks/t0ken", Token: "t0ken", ExpiresAt: minoots.InstantOf(time.Date(2026, 11, 23, 9, 1, 0, 0, time.UTC)),
}

func TestMCPCall(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]*mcp.StreamableHTTPOptions{
		"sessions, event streams": {},
		"stateless, JSON":         {Stateless: true, JSONResponse: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, calls, requests := mcpServer(t, options)
			d := prompt(minoots.AdapterMCP, url, `{"tool": "wake", "prompt": "go on", "arguments": {"a": 1, "b": [2]}, "headers": {"Authorization": "Bearer k", "Accept": "text/plain"}}`,
				`{"a": 7, "step": "{{ metadata.step }}", "answer_to": "{{ acknowledgement.token }}"}`)
			d.Acknowledgement = askedToAcknowledge

			out := testAgent(t).Execute(t.Context(), d, 2)

			require.True(t, out.Success, out.Error)
			assert.True(t, strings.HasPrefix(string(out.Response), "awake long"), string(out.Response))
			assert.Len(t, out.Response, minoots.MaxResponseCapture)
			assert.Equal(t, http.StatusOK, out.HTTPStatus)
			require.Len(t, calls(), 1)
			call := calls()[0]
			ack := map[string]any{"url": "https://minoots.example.com/v1/acks/t0ken", "token": "t0ken", "deadline": "2026-11-23T09:01:00.000000Z"}
			assert.Equal(t, map[string]any{"a": 1.0, "b": []any{2.0}, "step": 3.0, "prompt": "go on", "answer_to": "t0ken"}, call.arguments)
			assert.Equal(t, ack, call.meta[metaAcknowledgement])
			delivery := call.meta[metaDelivery].(map[string]any)
			assert.Equal(t, d.WebhookID(), delivery["id"])
			assert.Equal(t, "resume-research", delivery["data"].(map[string]any)["timer"].(map[string]any)["name"])
			for _, r := range requests() {
				assert.Equal(t, d.WebhookID(), r.Header.Get("webhook-id"), r.Method)
				assert.Equal(t, "Bearer k", r.Header.Get("Authorization"), r.Method)
				assert.NotEmpty(t, r.Header.Get("webhook-signature"), r.Method)
				assert.NotEmpty(t, r.Header.Get("traceparent"), r.Method)
				if r.Method == http.MethodPost {
					assert.NotEqual(t, "text/plain", r.Header.Get("Accept"), "the protocol's own headers stay")
				}
			}
		})
	}
}

func TestMCPFailures(t *testing.T) {
	t.Parallel()
	url, _, _ := mcpServer(t, &mcp.StreamableHTTPOptions{Stateless: true})
	large := receiver(t, answering(http.StatusOK, strings.Repeat("x", 2*wholeLimit))).URL
	for name, c := range map[string]struct {
		target, tool, class string
		retryable           bool
	}{
		"tool reports an error": {url, "breaks", ClassTool, true},
		"tool faults":           {url, "faults", ClassRPC, true},
		"no such tool":          {url, "missing", ClassRPCRefused, false},
		"nobody listens":        {"http://127.0.0.1:1/", "wake", ClassRefused, true},
		"not MCP":               {receiver(t, answering(http.StatusOK, "hello")).URL, "wake", ClassProtocol, true},
		"endless answer":        {large, "wake", ClassProtocol, true},
		"not allowed":           {receiver(t, answering(http.StatusForbidden, "no")).URL, "wake", ClassHTTPStatus, false},
		"busy":                  {receiver(t, answering(http.StatusServiceUnavailable, "busy")).URL, "wake", ClassHTTPStatus, true},
		"moved":                 {receiver(t, http.RedirectHandler("http://127.0.0.1:1/", http.StatusPermanentRedirect).ServeHTTP).URL, "wake", ClassRedirect, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := testAgent(t).Execute(t.Context(), prompt(minoots.AdapterMCP, c.target, `{"tool": "`+c.tool+`"}`, ""), 1)
			requireWellFormed(t, out)
			assert.Equal(t, c.class, out.ErrorClass, out.Error)
			assert.Equal(t, c.retryable, out.Retryable)
		})
	}
}

// A private address is not reached through MCP either.
func TestMCPKeepsToTheGuard(t *testing.T) {
	t.Parallel()
	url, calls, _ := mcpServer(t, nil)
	s := newSender(Config{Secrets: fixedSecrets{[]byte("s3cret")}})
	t.Cleanup(s.Close)
	out := newAgent(s, "dev").Execute(t.Context(), prompt(minoots.AdapterMCP, url, `{"tool": "wake"}`, ""), 1)
	assert.Equal(t, ClassAddressDenied, out.ErrorClass, out.Error)
	assert.False(t, out.Retryable)
	assert.Empty(t, calls())
}
