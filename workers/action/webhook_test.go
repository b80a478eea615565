package action

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minoots/minoots"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// request is what a receiver saw.
type request struct {
	*http.Request
	body []byte
}

// recorder is a receiver that says yes and remembers.
func recorder(t *testing.T) (url string, seen chan request) {
	seen = make(chan request, 16)
	s := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- request{r, body}
		w.WriteHeader(http.StatusNoContent)
	})
	return s.URL, seen
}

func TestWebhookRequest(t *testing.T) {
	t.Parallel()
	url, seen := recorder(t)
	w := testWebhook(t)
	before := time.Now().Add(-time.Second)

	out := w.Execute(t.Context(), post(url+"/hook?q=1"), 1)

	require.True(t, out.Success, out.Error)
	assert.Equal(t, http.StatusNoContent, out.HTTPStatus)
	assert.Empty(t, out.Response)
	got := <-seen
	assert.Equal(t, "POST /hook?q=1", got.Method+" "+got.RequestURI)
	assert.Equal(t, `{"type":"timer.fired","timestamp":"2026-11-23T09:00:00.003100Z","data":{`+
		`"timer":{"id":"01890a5d-ac96-774b-bcce-b302099a8057","tenantId":"acme","name":"resume-research",`+
		`"labels":{"session":"s-17"},"metadata":{"step":3},"requestedBy":"agent:planner"},`+
		`"firing":{"occurrence":1,"dueAt":"2026-11-23T09:00:00.000000Z","firedAt":"2026-11-23T09:00:00.003100Z"},`+
		`"action":{"id":"wake","kind":"webhook"},"attempt":1}}`, string(got.body))
	for name, want := range map[string]string{
		"webhook-id":          "01890a5d-ac96-774b-bcce-b302099a8057_1_wake",
		"x-minoots-timer-id":  "01890a5d-ac96-774b-bcce-b302099a8057",
		"x-minoots-tenant-id": "acme",
		"x-minoots-attempt":   "1",
		"content-type":        "application/json",
		"user-agent":          "minoots/1.2.3",
	} {
		assert.Equal(t, want, got.Header.Get(name), name)
	}
	assert.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, got.Header.Get("traceparent"))
	assert.NotContains(t, got.Header, "Idempotency-Key", "is a note to net/http and stays here")
	assert.NotContains(t, got.Header, "Accept-Encoding", "an answer must not unpack")
	assert.False(t, out.StartedAt.Before(before) || out.FinishedAt.Before(out.StartedAt))
}

func TestWebhookBareTimerHasObjects(t *testing.T) {
	t.Parallel()
	url, seen := recorder(t)
	d := post(url)
	d.Timer.Labels, d.Timer.Metadata = nil, nil
	require.True(t, testWebhook(t).Execute(t.Context(), d, 1).Success)
	assert.Contains(t, string((<-seen).body), `"labels":{},"metadata":{}`)
}

func TestWebhookParametersAreObeyed(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		parameters  string
		method      string
		body        string
		contentType string
	}{
		"put, body verbatim":   {`"method": "PUT", "body": {"b": [1, 2],  "a": "é"}`, "PUT", `{"b": [1, 2],  "a": "é"}`, "application/json"},
		"body of another type": {`"body": 7, "headers": {"content-type": "text/plain"}`, "POST", `7`, "text/plain"},
		"get has no body":      {`"method": "GET", "body": null`, "GET", ``, ""},
		"delete has no body":   {`"method": "DELETE"`, "DELETE", ``, ""},
		"unless it is given":   {`"method": "DELETE", "body": [1]`, "DELETE", `[1]`, "application/json"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, seen := recorder(t)
			w := testWebhook(t)
			out := w.Execute(t.Context(), testDelivery(minoots.KindWebhook, `{"url": "`+url+`", `+c.parameters+`}`), 1)
			require.True(t, out.Success, out.Error)
			got := <-seen
			assert.Equal(t, c.method, got.Method)
			assert.Equal(t, c.body, string(got.body))
			assert.Equal(t, c.contentType, got.Header.Get("Content-Type"))
			verify(t, got, "a signing secret, s3cret")
		})
	}
}

func verify(t *testing.T, got request, secret string) {
	t.Helper()
	wh, err := standardwebhooks.NewWebhookRaw([]byte(secret))
	require.NoError(t, err)
	assert.NoError(t, wh.Verify(got.body, got.Header))
}

func TestWebhookSignsWithEveryLiveSecret(t *testing.T) {
	t.Parallel()
	url, seen := recorder(t)
	w := testWebhook(t, func(c *Config) { c.Secrets = fixedSecrets{[]byte("new"), []byte("old")} })
	require.True(t, w.Execute(t.Context(), post(url), 1).Success)
	got := <-seen
	verify(t, got, "new")
	verify(t, got, "old")
	wh, _ := standardwebhooks.NewWebhookRaw([]byte("another"))
	assert.Error(t, wh.Verify(got.body, got.Header))
	assert.Len(t, strings.Split(got.Header.Get("webhook-signature"), " "), 2)
}

func TestWebhookRepeatsAreRecognisable(t *testing.T) {
	t.Parallel()
	url, seen := recorder(t)
	w := testWebhook(t)
	for attempt := 1; attempt <= 2; attempt++ {
		require.True(t, w.Execute(t.Context(), post(url), attempt).Success)
	}
	first, second := <-seen, <-seen
	assert.Equal(t, first.Header.Get("webhook-id"), second.Header.Get("webhook-id"))
	assert.Equal(t, "2", second.Header.Get("x-minoots-attempt"))
	one, two := first.Header.Get("traceparent"), second.Header.Get("traceparent")
	assert.Equal(t, one[:36], two[:36], "one trace")
	assert.NotEqual(t, one[36:], two[36:], "a span each")
}

type brokenSecrets struct{ err error }

func (s brokenSecrets) Live(context.Context, string) ([][]byte, error) { return nil, s.err }

func TestWebhookSendsNothingUnsigned(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	s := receiver(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	for name, secrets := range map[string]Secrets{
		"unreadable": brokenSecrets{io.ErrUnexpectedEOF},
		"none":       fixedSecrets{},
		"empty":      fixedSecrets{{}},
		"no store":   nil,
	} {
		out := testWebhook(t, func(c *Config) { c.Secrets = secrets }).Execute(t.Context(), post(s.URL), 1)
		assert.Equal(t, ClassSigning, out.ErrorClass, name)
		assert.True(t, out.Retryable, name)
		assert.NotContains(t, out.Error, "EOF", name)
	}
	assert.False(t, reached.Load())
}

// A receiver may close a kept connection at the moment we use it again.
func TestWebhookSurvivesStaleConnection(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	url := rawReceiver(t, func(conn *net.TCPConn, number int) {
		for n := 1; n <= 2; n++ {
			if readRequest(conn) != nil {
				return
			}
			requests.Add(1)
			if number == 1 && n == 2 {
				return // without an answer
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	w := testWebhook(t)
	for attempt := 1; attempt <= 2; attempt++ {
		out := w.Execute(t.Context(), post(url), attempt)
		require.True(t, out.Success, out.Error)
	}
	assert.EqualValues(t, 3, requests.Load(), "the second delivery was sent twice")
}

func TestWebhookSpeaksHTTP2(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Proto }))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	w := testWebhook(t)
	w.transport.TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs

	out := w.Execute(t.Context(), post(s.URL), 1)

	require.True(t, out.Success, out.Error)
	assert.Equal(t, "HTTP/2.0", <-seen)
}

// A storm to one host uses no more connections than there are workers, and the
// next wave uses them again.
func TestWebhookStormKeepsConnections(t *testing.T) {
	t.Parallel()
	const workers = 32
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(answering(200, "ok"))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	w := testWebhook(t, func(c *Config) { c.Concurrency = workers })
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range 20 {
				out := w.Execute(t.Context(), post(s.URL), 1)
				assert.Equal(t, "ok", string(out.Response), out.Error)
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, opened.Load(), int64(workers))
}
