package action

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/minoots/minoots"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func readRequest(conn io.Reader) error {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return err
}

// Every way in which a receiver can fail, and what is made of it.
func TestWebhookFailures(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	http1 := func(handler http.HandlerFunc) func(*testing.T) string {
		return func(t *testing.T) string { return receiver(t, handler).URL }
	}
	raw := func(serve func(*net.TCPConn)) func(*testing.T) string {
		return func(t *testing.T) string {
			return rawReceiver(t, func(conn *net.TCPConn, _ int) {
				if readRequest(conn) == nil {
					serve(conn)
				}
			})
		}
	}
	asking := func(status int, retryAfter string) func(*testing.T) string {
		return http1(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(status)
		})
	}
	const final, retried = false, true
	cases := map[string]struct {
		url       func(*testing.T) string
		class     string
		retryable bool
		status    int
		after     time.Duration
	}{
		"refused":           {refusing, ClassRefused, retried, 0, 0},
		"closed":            {raw(func(*net.TCPConn) {}), ClassReset, retried, 0, 0},
		"reset":             {raw(func(c *net.TCPConn) { _ = c.SetLinger(0) }), ClassReset, retried, 0, 0},
		"hangs":             {http1(hanging), ClassTimeout, retried, 0, 0},
		"dribbles a header": {raw(func(c *net.TCPConn) { dribble(c, "HTTP/1.1 200 OK\r\nX: ") }), ClassTimeout, retried, 0, 0},
		"endless header":    {raw(endlessHeader), ClassProtocol, retried, 0, 0},
		"no HTTP":           {raw(func(c *net.TCPConn) { _, _ = io.WriteString(c, "SSH-2.0-s3cret\r\n") }), ClassProtocol, retried, 0, 0},
		"no such host":      {func(*testing.T) string { return "http://nowhere.invalid" }, ClassDNS, retried, 0, 0},
		"certificate":       {untrusted, ClassTLS, retried, 0, 0},
		"no TLS": {func(t *testing.T) string {
			return strings.Replace(receiver(t, answering(200, "")).URL, "http:", "https:", 1)
		}, ClassTLS, retried, 0, 0},
		"redirect":           {redirecting, ClassRedirect, final, 302, 0},
		"switches protocols": {raw(func(c *net.TCPConn) { dribble(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n") }), ClassHTTPStatus, final, 101, 0},
		"400":                {http1(answering(400, "no")), ClassHTTPStatus, final, 400, 0},
		"410":                {asking(410, "5"), ClassHTTPStatus, final, 410, 5 * time.Second},
		"500":                {http1(answering(500, "oops")), ClassHTTPStatus, retried, 500, 0},
		"429 in seconds":     {asking(429, "17"), ClassHTTPStatus, retried, 429, 17 * time.Second},
		"503 by date":        {asking(503, now.Add(time.Minute).Format(http.TimeFormat)), ClassHTTPStatus, retried, 503, time.Minute},
		"500 then dribbles":  {raw(func(c *net.TCPConn) { dribble(c, "HTTP/1.1 500 \r\n\r\n") }), ClassHTTPStatus, retried, 500, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testWebhook(t, func(config *Config) { config.Now = func() time.Time { return now } })
			timeout := "10000"
			if c.class == ClassTimeout || strings.Contains(name, "dribbles") {
				timeout = "100"
			}
			d := testDelivery(minoots.KindWebhook, `{"url": "`+c.url(t)+`/hook?token=s3cret", "timeoutMs": `+timeout+`,
				"headers": {"Authorization": "Bearer s3cret"}}`)

			out := w.Execute(t.Context(), d, 1)

			assert.False(t, out.Success)
			assert.Equal(t, c.class, out.ErrorClass, out.Error)
			assert.Equal(t, c.retryable, out.Retryable)
			assert.Equal(t, c.status, out.HTTPStatus)
			assert.Equal(t, c.after, out.RetryAfter)
			assert.NotEmpty(t, out.Error)
			assert.NotContains(t, out.Error, "s3cret")
			assert.NotContains(t, out.Error, "\n")
		})
	}
}

// refusing is the URL of a port where nobody listens any more.
func refusing(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return "http://" + listener.Addr().String()
}

func untrusted(t *testing.T) string {
	s := httptest.NewUnstartedServer(answering(200, ""))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func redirecting(t *testing.T) string {
	return receiver(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}).URL
}

func endlessHeader(conn *net.TCPConn) {
	line := "X-Long: " + strings.Repeat("x", 1000) + "\r\n"
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
	for err == nil {
		_, err = io.WriteString(conn, line)
	}
}

// A 2xx stands although its body then breaks off or never ends.
func TestWebhookStatusDecides(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]func(*net.TCPConn){
		"breaks off": func(c *net.TCPConn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ndone") },
		"dribbles":   func(c *net.TCPConn) { dribble(c, "HTTP/1.1 200 OK\r\n\r\ndone") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := rawReceiver(t, func(conn *net.TCPConn, _ int) {
				if readRequest(conn) == nil {
					serve(conn)
				}
			})
			out := testWebhook(t).Execute(t.Context(), testDelivery(minoots.KindWebhook, `{"url": "`+url+`", "timeoutMs": 100}`), 1)
			assert.True(t, out.Success, out.Error)
			assert.Contains(t, string(out.Response), "done")
		})
	}
}

// A receiver that sends without end is read no further than the limits say.
func TestWebhookReadsNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	sent := make(chan int64, 1)
	url := rawReceiver(t, func(conn *net.TCPConn, _ int) {
		_ = conn.SetWriteBuffer(64 << 10)
		_ = readRequest(conn)
		n, _ := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		total := int64(n)
		for chunk := strings.Repeat("x\x00\xff", 1000); total < 1e9; total += int64(n) {
			var err error
			if n, err = io.WriteString(conn, chunk); err != nil {
				break
			}
		}
		sent <- total
	})
	out := testWebhook(t).Execute(t.Context(), post(url), 1)
	require.True(t, out.Success, out.Error)
	assert.Less(t, <-sent, int64(32<<20), "what the kernel's buffers take, and no more")
	assert.LessOrEqual(t, len(out.Response), minoots.MaxResponseCapture)
	assert.True(t, strings.HasPrefix(string(out.Response), "x\uFFFD\uFFFDx"))
}

func TestCleanText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":               "",
		"plain é":        "plain é",
		"a\x00b\xffc":    "a\uFFFDb\uFFFDc",
		"cut \xe2\x82":   "cut ",
		"\xe2\x82 inner": "\uFFFD\uFFFD inner",
	} {
		assert.Equal(t, want, string(cleanText([]byte(in))), "%q", in)
	}
	assert.LessOrEqual(t, len(cleanText([]byte(strings.Repeat("\xff", minoots.MaxResponseCapture)))), minoots.MaxResponseCapture)
}

func TestWebhookShutdownIsNotAFailureOfTheReceiver(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	s := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		hanging(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	out := testWebhook(t).Execute(ctx, post(s.URL), 1)
	assert.Equal(t, ClassCancelled, out.ErrorClass)
	assert.True(t, out.Retryable)
}

// A deadline set by whoever calls is a timeout as well.
func TestWebhookCallersDeadline(t *testing.T) {
	t.Parallel()
	s := receiver(t, hanging)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(50*time.Millisecond))
	defer cancel()
	assert.Equal(t, ClassTimeout, testWebhook(t).Execute(ctx, post(s.URL), 1).ErrorClass)
}

func TestErrorTextIsOneLine(t *testing.T) {
	t.Parallel()
	out := minoots.Outcome{Success: true}
	failure{ClassTLS, "a\r\nb\x00\xff" + strings.Repeat("é", 1000)}.report(&out)
	assert.True(t, strings.HasPrefix(out.Error, "a  b \uFFFDéé"))
	assert.Len(t, []rune(out.Error), errorTextLimit)
	assert.False(t, out.Success)
}

// Every class has its line in the table of what is retried.
func TestEveryClassIsInTheTable(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("failure.go")
	require.NoError(t, err)
	classes := regexp.MustCompile(`(?m)^\tClass\w+ += "(\w+)"`).FindAllSubmatch(source, -1)
	require.Len(t, classes, len(retriedClass)+1)
	for _, class := range classes {
		_, there := retriedClass[string(class[1])]
		assert.True(t, there || string(class[1]) == ClassHTTPStatus, "%s", class[1])
	}
}

func TestFailureOfUnknownErrors(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for class, err := range map[string]error{
		ClassProtocol:    errors.New("something with s3cret in it"),
		ClassUnreachable: &net.OpError{Op: "dial", Err: errors.New("too many open files")},
		ClassDNS:         &net.DNSError{Name: "a.example", Err: "read udp 10.0.0.53:53: i/o timeout", IsTimeout: true},
		ClassTimeout:     &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded},
		ClassReset:       io.ErrUnexpectedEOF,
	} {
		got := failureOf(ctx, ctx, err, time.Second)
		assert.Equal(t, class, got.class, got.text)
		assert.NotRegexp(t, `s3cret|10\.0\.0`, got.text)
	}
}
