package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/minoots/minoots"
)

// The names under which a tool finds, in _meta, what it was called for.
const (
	metaDelivery        = "minoots/delivery"
	metaAcknowledgement = "minoots/acknowledgement"
)

// callTool calls the tool in a session of its own: a session that were kept would
// be a state that a restart of either side breaks.
func (a *Agent) callTool(caller context.Context, c *call, out *minoots.Outcome) failure {
	params, err := c.toolParams()
	if err != nil {
		return notJSON
	}
	ctx, cancel := context.WithTimeout(caller, c.spec.timeout())
	defer cancel()
	secrets, failed := a.liveSecrets(caller, ctx, c.d.TenantID)
	if failed.class != "" {
		return failed
	}
	wire := &mcpWire{ctx: ctx, sender: a.sender, secrets: secrets,
		envelope: envelope(c.d, c.attempt, http.MethodPost, c.spec.target, c.spec.Headers)}
	result, err := a.talk(ctx, wire, c, params)
	status, retryAfter, lost := wire.last()
	out.HTTPStatus = status
	if err != nil {
		failed := a.toolFailure(caller, ctx, c, status, lost, err)
		if failed.class == ClassHTTPStatus && retryable(failed.class, status) {
			out.RetryAfter = ParseRetryAfter(retryAfter, a.now())
		}
		return failed
	}
	out.Response = capture(toolAnswer(result))
	if result.IsError {
		return failure{ClassTool, fmt.Sprintf("the tool %q reported an error, which the answer tells", c.spec.Tool)}
	}
	return failure{}
}

// talk is the session: hello, the call, goodbye.
func (a *Agent) talk(ctx context.Context, wire *mcpWire, c *call, params *mcp.CallToolParams) (*mcp.CallToolResult, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "minoots", Version: a.version},
		&mcp.ClientOptions{Logger: slog.New(slog.DiscardHandler)})
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: c.spec.target.String(),
		HTTPClient: &http.Client{Transport: wire, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		MaxRetries: -1, DisableStandaloneSSE: true, MaxEventSize: wholeLimit,
	}, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = session.Close() }()
	return session.CallTool(ctx, params)
}

// toolParams makes the call: the template's result and over it the action's own
// arguments. What was not asked for goes into _meta, since tools may refuse
// arguments that they do not know. A tool whose model is to acknowledge gets what
// it needs by the template, from acknowledgement.
func (c *call) toolParams() (*mcp.CallToolParams, error) {
	arguments, err := c.object()
	if err == nil && len(c.spec.Arguments) > 0 && !isNull(c.spec.Arguments) {
		err = json.Unmarshal(c.spec.Arguments, &arguments)
	}
	if err == nil && c.spec.Prompt != "" {
		err = put(arguments, "prompt", c.spec.Prompt)
	}
	meta := mcp.Meta{metaDelivery: map[string]any{"id": c.d.WebhookID(), "timestamp": c.payload.Timestamp, "data": c.payload.Data}}
	if ack := c.d.Acknowledgement; ack != nil {
		meta[metaAcknowledgement] = ack
	}
	return &mcp.CallToolParams{Meta: meta, Name: c.spec.Tool, Arguments: arguments}, err
}

// toolAnswer is what is kept of a result: its texts, or all of it as JSON.
func toolAnswer(result *mcp.CallToolResult) []byte {
	var texts []string
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			texts = append(texts, text.Text)
		}
	}
	if len(texts) > 0 {
		return []byte(strings.Join(texts, "\n"))
	}
	raw, err := json.Marshal(result)
	if err != nil {
		return nil
	}
	return raw
}

// toolFailure classifies the error of a session: by what ended it, then by what
// the server said.
func (a *Agent) toolFailure(caller, ctx context.Context, c *call, status int, lost, err error) failure {
	var refused *jsonrpc.Error
	isRPC := errors.As(err, &refused)
	switch {
	case ctx.Err() != nil:
		return failureOf(caller, ctx, err, c.spec.timeout())
	case lost != nil:
		return failureOfAnswer(caller, ctx, lost, c.spec.timeout())
	case isRPC && slices.Contains(refusals, refused.Code):
		return failure{ClassRPCRefused, fmt.Sprintf("the MCP server refused the call of %q (JSON-RPC error %d): no such tool, or not these arguments", c.spec.Tool, refused.Code)}
	case status < 200 || status > 299: // the library makes errors of its own of some
		return judge(status)
	case isRPC:
		return failure{ClassRPC, fmt.Sprintf("the MCP server answered with JSON-RPC error %d", refused.Code)}
	default:
		return failure{ClassProtocol, "the answer is not MCP over streamable HTTP"}
	}
}

// refusals are the JSON-RPC errors that the same call will always meet.
var refusals = []int64{jsonrpc.CodeMethodNotFound, jsonrpc.CodeInvalidParams, jsonrpc.CodeInvalidRequest}

// mcpWire is the HTTP of one session: every request goes through the guard, has
// our headers and a signature of its own, and ends with the attempt.
type mcpWire struct {
	ctx      context.Context
	sender   *sender
	secrets  [][]byte
	envelope *message

	mu         sync.Mutex
	failed     error // of the last exchange that got no answer
	status     int   // of the last answer
	retryAfter string
	read       int // bytes of all answers
}

// RoundTrip implements http.RoundTripper.
func (w *mcpWire) RoundTrip(request *http.Request) (*http.Response, error) {
	signed := *w.envelope
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		_ = request.Body.Close()
		if err != nil {
			return nil, err
		}
		signed.body = body
	}
	ctx, cancel := context.WithCancel(request.Context())
	stop := context.AfterFunc(w.ctx, cancel)
	out := request.Clone(ctx)
	out.Body, out.ContentLength, out.GetBody = nil, 0, nil
	if len(signed.body) > 0 {
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(signed.body)), int64(len(signed.body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(signed.body)), nil }
	}
	for name, values := range signed.header(w.secrets, w.sender.now(), w.sender.userAgent) {
		if _, protocol := out.Header[name]; !protocol { // MCP's own headers are not the caller's to change
			out.Header[name] = values
		}
	}
	answer, err := w.sender.transport.RoundTrip(out)
	if request.Method == http.MethodPost { // what comes after, to end the session, says nothing of the call
		w.note(answer, err)
	}
	if err != nil {
		stop()
		cancel()
		return nil, err
	}
	answer.Body = &mcpBody{ReadCloser: answer.Body, wire: w, end: func() { stop(); cancel() }}
	return answer, nil
}

func (w *mcpWire) note(answer *http.Response, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed = err; err == nil {
		w.status, w.retryAfter = answer.StatusCode, answer.Header.Get("Retry-After")
	}
}

// last gives what became of the last exchange.
func (w *mcpWire) last() (status int, retryAfter string, failed error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status, w.retryAfter, w.failed
}

// mcpBody counts what is read of an answer, and ends the exchange with it.
type mcpBody struct {
	io.ReadCloser
	wire *mcpWire
	end  func()
}

// Read implements io.Reader.
func (b *mcpBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.wire.mu.Lock()
	defer b.wire.mu.Unlock()
	if b.wire.read += n; b.wire.read > wholeLimit {
		b.wire.failed = errAnswerTooLarge
		return 0, errAnswerTooLarge
	}
	return n, err
}

// Close implements io.Closer.
func (b *mcpBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
