package action

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/minoots/minoots"
)

// Webhook delivers a firing by HTTP, signed as Standard Webhooks say.
type Webhook struct{ *sender }

var _ Executor = (*Webhook)(nil)

// NewWebhook builds the executor and its connection pool. It dials nothing.
func NewWebhook(config Config) *Webhook { return &Webhook{newSender(config)} }

// Check implements Executor. It also refuses a URL whose host is a private
// address as written. A name that resolves to one passes here, since what it
// resolves to may change, and is denied at each attempt.
func (w *Webhook) Check(parameters json.RawMessage, _ *minoots.AgentBinding) []minoots.FieldError {
	spec, bad := parseWebhook(parameters)
	if len(bad) > 0 || !spec.exact {
		bad.addUnknown(parameters, webhookParameters)
	}
	if len(bad) == 0 && !w.guard.allowsHost(spec.target.Hostname()) {
		bad.add("url", "%s", privateHost(spec.target.Hostname()))
	}
	return bad
}

func privateHost(host string) string {
	return host + " is a private, loopback or reserved address, and webhooks reach only public ones; " +
		"an operator can allow ranges with MINOOTS_WEBHOOK_ALLOW_CIDRS"
}

// Destination implements Executor: the URL's scheme, host and port.
func (w *Webhook) Destination(d *minoots.Delivery) string {
	var spec webhookSpec
	if _, err := webhookDecoder.Unmarshal(d.Action.Parameters, &spec); err == nil {
		return originOf(spec.URL)
	}
	// A parameter beside the URL may be wrong, which is for the attempt to say.
	var only struct {
		URL string `json:"url"`
	}
	if json.Unmarshal(d.Action.Parameters, &only) != nil {
		return ""
	}
	return originOf(only.URL)
}

// originOf cuts a URL behind its host and port, without parsing it: it is asked
// of every delivery.
func originOf(url string) string {
	if scheme := strings.Index(url, "://"); scheme >= 0 {
		if end := strings.IndexAny(url[scheme+3:], "/?"); end >= 0 {
			return url[:scheme+3+end]
		}
	}
	return url
}

// Execute implements Executor.
func (w *Webhook) Execute(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome {
	return run(w.now, func(out *minoots.Outcome) failure {
		spec, bad := parseWebhook(d.Action.Parameters)
		if len(bad) > 0 {
			return failure{ClassParameters, bad[0].Path + " " + bad[0].Message}
		}
		message, err := newMessage(&d, spec, attempt)
		if err != nil {
			return failure{ClassParameters, "the delivery cannot be written as JSON"}
		}
		return w.send(ctx, message, spec.timeout(), nil, out)
	})
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
