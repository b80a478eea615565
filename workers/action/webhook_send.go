package action

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/minoots/minoots"
)

// message is a request ready to be signed and sent.
type message struct {
	id       string
	tenantID string
	timerID  string
	attempt  int
	method   string
	target   *url.URL
	headers  map[string]string // the caller's
	body     []byte            // nil for none
}

// envelope is a message of a delivery, without its body.
func envelope(d *minoots.Delivery, attempt int, method string, target *url.URL, headers map[string]string) *message {
	return &message{
		id: d.WebhookID(), tenantID: d.TenantID, timerID: d.Timer.ID.String(),
		attempt: attempt, method: method, target: target, headers: headers,
	}
}

func newMessage(d *minoots.Delivery, spec *webhookSpec, attempt int) (*message, error) {
	m := envelope(d, attempt, spec.Method, spec.target, spec.Headers)
	switch {
	case spec.hasBody():
		m.body = spec.Body
	case spec.Method == http.MethodGet, spec.Method == http.MethodDelete:
		// RFC 9110 gives a body no meaning here, and large front ends answer 400 to
		// one. Whoever needs it can give it.
	default:
		var err error
		if m.body, err = defaultBody(d, attempt); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// request makes the HTTP request, signed for the instant at.
func (m *message) request(ctx context.Context, secrets [][]byte, at time.Time, userAgent []string) *http.Request {
	request := (&http.Request{
		Method: m.method,
		URL:    m.target,
		Header: m.header(secrets, at, userAgent),
	}).WithContext(ctx)
	if len(m.body) > 0 {
		request.ContentLength = int64(len(m.body))
		request.Body = io.NopCloser(bytes.NewReader(m.body))
		request.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(m.body)), nil
		}
	}
	return request
}

// header joins the caller's headers and ours. Ours come last: parseWebhook has
// refused the reserved names, and this would win even so. Keys are in canonical
// form, which spares http.Header.Set its work.
func (m *message) header(secrets [][]byte, at time.Time, userAgent []string) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	// One slice holds all values; each header's is capped so that none can grow
	// into the next.
	values := []string{
		m.id, timestamp, sign(secrets, m.id, timestamp, m.body),
		m.timerID, m.tenantID, strconv.Itoa(m.attempt), traceParent(m.id),
	}
	header := make(http.Header, len(values)+len(m.headers)+3)
	header["User-Agent"] = userAgent
	if len(m.body) > 0 {
		header["Content-Type"] = contentTypeJSON
	}
	// A kept connection that the receiver closes just as we write to it is no
	// failed attempt. net/http sends again on a fresh one if the request is
	// idempotent, and a webhook is: that is what webhook-id is for. An empty list
	// under this name says so to net/http and sends no header.
	header["Idempotency-Key"] = nil
	for name, value := range m.headers {
		header.Set(name, value)
	}
	header["Webhook-Id"] = values[0:1:1]
	header["Webhook-Timestamp"] = values[1:2:2]
	header["Webhook-Signature"] = values[2:3:3]
	header["X-Minoots-Timer-Id"] = values[3:4:4]
	header["X-Minoots-Tenant-Id"] = values[4:5:5]
	header["X-Minoots-Attempt"] = values[5:6:6]
	header["Traceparent"] = values[6:7:7]
	return header
}

var contentTypeJSON = []string{"application/json"}
