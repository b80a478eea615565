package action

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

// Webhook delivers a firing by HTTP, signed as Standard Webhooks say.
type Webhook struct {
	secrets   Secrets
	guard     *guard
	transport *http.Transport
	userAgent []string
	now       func() time.Time
}

var _ Executor = (*Webhook)(nil)

// NewWebhook builds the executor and its connection pool. It dials nothing.
func NewWebhook(config Config) *Webhook {
	config = config.withDefaults()
	guard := newGuard(config.Allow)
	return &Webhook{
		secrets:   config.Secrets,
		guard:     guard,
		transport: newTransport(guard, config.Concurrency),
		userAgent: []string{"minoots/" + config.Version},
		now:       config.Now,
	}
}

// Close closes the idle connections.
func (w *Webhook) Close() { w.transport.CloseIdleConnections() }

// Check implements Executor. It also refuses a URL whose host is a private
// address as written. A name that resolves to one passes here, since what it
// resolves to may change, and is denied at each attempt.
func (w *Webhook) Check(parameters json.RawMessage) []minoots.FieldError {
	spec, bad := parseWebhook(parameters)
	bad.addUnknown(parameters, webhookParameters)
	if len(bad) == 0 && !w.guard.allowsHost(spec.target.Hostname()) {
		bad.add("url", "%s is a private, loopback or reserved address, and webhooks reach only public ones; "+
			"an operator can allow ranges with MINOOTS_WEBHOOK_ALLOW_CIDRS", spec.target.Hostname())
	}
	return bad
}

// Destination implements Executor: the URL's scheme, host and port.
func (w *Webhook) Destination(parameters json.RawMessage) string {
	var spec struct {
		URL string `json:"url"`
	}
	if json.Unmarshal(parameters, &spec) != nil {
		return ""
	}
	if scheme := strings.Index(spec.URL, "://"); scheme >= 0 {
		if end := strings.IndexAny(spec.URL[scheme+3:], "/?"); end >= 0 {
			return spec.URL[:scheme+3+end]
		}
	}
	return spec.URL
}

// Execute implements Executor.
func (w *Webhook) Execute(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome {
	out := minoots.Outcome{StartedAt: w.now()}
	if failed := w.deliver(ctx, &d, attempt, &out); failed.class != "" {
		failed.report(&out)
	} else {
		out.Success = true
	}
	out.FinishedAt = w.now()
	return out
}

// deliver makes the attempt and writes what the receiver said into out. The
// zero failure means success.
func (w *Webhook) deliver(caller context.Context, d *minoots.Delivery, attempt int, out *minoots.Outcome) failure {
	spec, bad := parseWebhook(d.Action.Parameters)
	if len(bad) > 0 {
		return failure{ClassParameters, bad[0].Path + " " + bad[0].Message}
	}
	// One deadline for all of it, from asking for the secrets to the answer's last
	// byte: a receiver that answers byte by byte cannot hold a worker any longer.
	ctx, cancel := context.WithTimeout(caller, spec.timeout())
	defer cancel()

	secrets, failed := w.liveSecrets(caller, ctx, d.TenantID)
	if failed.class != "" {
		return failed
	}
	message, err := newMessage(d, spec, attempt)
	if err != nil {
		return failure{ClassParameters, "the delivery cannot be written as JSON"}
	}
	// Signed with the time of sending, not of firing: receivers refuse what is
	// minutes old, and a fifth attempt may be an hour after the first.
	request := message.request(ctx, secrets, w.now(), w.userAgent)
	answer, err := w.transport.RoundTrip(request) //nolint:bodyclose // readAnswer closes it
	if err != nil {
		return failureOf(caller, ctx, err, spec.timeout())
	}
	out.HTTPStatus = answer.StatusCode
	out.Response = readAnswer(answer)
	failed = aborted(judge(answer.StatusCode), answer.Header)
	if failed.class != "" {
		out.RetryAfter = ParseRetryAfter(answer.Header.Get("Retry-After"), w.now())
	}
	return failed
}

// judge turns a status into a verdict. The status alone decides: a 2xx whose
// body then stalls or breaks off has been accepted, and asking again would only
// make the receiver do it twice.
func judge(status int) failure {
	switch {
	case status >= 200 && status <= 299:
		return failure{}
	case status >= 300 && status <= 399:
		return failure{ClassRedirect, fmt.Sprintf("the receiver answered %s; redirects are not followed, give the final URL", statusText(status))}
	default:
		return failure{ClassHTTPStatus, "the receiver answered " + statusText(status)}
	}
}

// statusText names a status in our words; the receiver's own reason phrase is
// its free text.
func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d %s", status, text)
	}
	return fmt.Sprint(status)
}
