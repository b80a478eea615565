package action

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
)

// parsed is what a receiver makes of the bytes of a request.
type parsed struct {
	method, uri, host string
	length            int64
	header            http.Header
	body              string
}

func parse(t require.TestingT, raw []byte) parsed {
	in := bufio.NewReader(bytes.NewReader(raw))
	r, err := http.ReadRequest(in)
	require.NoError(t, err, "%q", raw)
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Zero(t, in.Buffered(), "nothing comes after it: %q", raw)
	header := r.Header.Clone()
	header.Del("Traceparent") // has a span of its own each time
	return parsed{r.Method, r.RequestURI, r.Host, r.ContentLength, header, string(body)}
}

func testMessage(t require.TestingT, method, target string, headers map[string]string, body []byte) *message {
	u, err := url.Parse(target)
	require.NoError(t, err)
	d := testDelivery(minoots.KindWebhook, "")
	m := envelope(&d, 3, method, u, headers)
	m.body = body
	return m
}

// requireSame holds a line's request to be the one that net/http would send.
func requireSame(t require.TestingT, m *message) {
	secrets, at := [][]byte{[]byte("one"), []byte("two")}, time.Unix(1_800_000_000, 0)
	var want bytes.Buffer
	require.NoError(t, m.request(context.Background(), secrets, at, []string{"minoots/1"}).Write(&want))
	got := m.appendPlain(nil, secrets, at, "minoots/1")
	require.NotNil(t, got)
	require.Equal(t, parse(t, want.Bytes()), parse(t, got))
}

func TestLineSendsWhatNetHTTPWould(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*message{
		"usual":            testMessage(t, "POST", "http://example.com/hook", nil, []byte(`{"a": 1}`)),
		"no path":          testMessage(t, "POST", "http://example.com", nil, []byte(`1`)),
		"only a query":     testMessage(t, "GET", "http://example.com?a=b&c=%20d", nil, nil),
		"escaped":          testMessage(t, "PUT", "http://example.com/a%2Fb/%C3%A9/é;x=1,2", nil, []byte(`1`)),
		"port":             testMessage(t, "DELETE", "https://example.com:8443/", nil, nil),
		"IPv6":             testMessage(t, "GET", "http://[2001:db8::1]:8080/x", nil, nil),
		"POST, no body":    testMessage(t, "POST", "http://example.com/", nil, nil),
		"GET with a body":  testMessage(t, "GET", "http://example.com/", nil, []byte(`[]`)),
		"headers":          testMessage(t, "POST", "http://example.com/", map[string]string{"x-a": " b\t", "ACCEPT": "*/*", "X-Empty": ""}, []byte(`1`)),
		"own content type": testMessage(t, "POST", "http://example.com/", map[string]string{"content-type": "text/plain"}, []byte(`1`)),
		"and without body": testMessage(t, "GET", "http://example.com/", map[string]string{"Content-Type": "application/json"}, nil),
		"own user agent":   testMessage(t, "POST", "http://example.com/", map[string]string{"user-agent": "me"}, []byte(`1`)),
		"not UTF-8":        testMessage(t, "POST", "http://example.com/", map[string]string{"X-Latin": "caf\xe9"}, []byte("\x00\xff")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.True(t, m.plain())
			requireSame(t, m)
		})
	}
}

// Whatever is thought plain is sent as net/http sends it.
func TestLineSendsNothingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		target := "http://" + rapid.SampledFrom([]string{"a.example", "10.1.2.3:80", "[::1]", "ä.example", "a_b"}).Draw(t, "host") +
			"/" + rapid.StringOfN(rapid.RuneFrom([]rune("az09/?&=%2+;é#@ \t\r\n\"<>")), 0, 20, -1).Draw(t, "rest")
		if _, err := url.Parse(target); err != nil {
			t.Skip("no URL")
		}
		headers := rapid.MapOfN(
			rapid.StringOfN(rapid.RuneFrom([]rune("aXZ9-_: \r\n")), 0, 10, -1),
			rapid.StringOfN(rapid.RuneFrom([]rune("aé:, \t\r\n\x00\x7f")), 0, 10, -1), 0, 2).Draw(t, "headers")
		seen := map[string]bool{} // parameters cannot have a name twice
		for name := range headers {
			if lower := strings.ToLower(name); seen[lower] {
				t.Skip("twice")
			} else {
				seen[lower] = true
			}
		}
		m := testMessage(t, rapid.SampledFrom(webhookMethods).Draw(t, "method"), target, headers,
			rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "body"))
		if !m.plain() || !plainURI(m.target.RequestURI()) {
			t.Skip("not for a line")
		}
		requireSame(t, m)
	})
}

// What could break out of its line, or takes more than a line carries, is left to
// net/http.
func TestLineLeavesTheUnusual(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("x"), plainLimit)
	for name, m := range map[string]*message{
		"line break in a value":  testMessage(t, "POST", "http://example.com/", map[string]string{"X-A": "b\r\nX-Minoots-Tenant-Id: other"}, nil),
		"line break in a name":   testMessage(t, "POST", "http://example.com/", map[string]string{"X-A: b\r\nX-B": "c"}, nil),
		"NUL":                    testMessage(t, "POST", "http://example.com/", map[string]string{"X-A": "\x00"}, nil),
		"a header that frames":   testMessage(t, "POST", "http://example.com/", map[string]string{"transfer-encoding": "chunked"}, nil),
		"a header of ours":       testMessage(t, "POST", "http://example.com/", map[string]string{"webhook-ID": "other"}, nil),
		"method":                 testMessage(t, "GET / HTTP/1.1\r\nX: y\r\n\r\nPOST", "http://example.com/", nil, nil),
		"no method":              testMessage(t, "", "http://example.com/", nil, nil),
		"host in another script": testMessage(t, "POST", "http://bücher.example/", nil, nil),
		"zone":                   testMessage(t, "POST", "http://[fe80::1%25eth0]/", nil, nil),
		"large body":             testMessage(t, "POST", "http://example.com/", nil, big),
		"large header":           testMessage(t, "POST", "http://example.com/", map[string]string{"X-A": string(big)}, nil),
		"opaque":                 testMessage(t, "POST", "http:example.com/", nil, nil),
	} {
		assert.False(t, m.plain(), name)
	}
	blank := testMessage(t, "GET", "http://example.com/?a b", nil, nil)
	assert.Nil(t, blank.appendPlain(nil, nil, time.Now(), ""), "a blank in a query as it was given")
}

// An action that was stored before its headers were checked sends nothing.
func TestHeaderInjectionSendsNothing(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	s := receiver(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	m := testMessage(t, "POST", s.URL, map[string]string{"X-A": "b\r\nX-Injected: c"}, nil)
	var out minoots.Outcome
	failed := testWebhook(t).send(t.Context(), m, time.Minute, nil, &out)
	assert.Equal(t, ClassProtocol, failed.class)
	assert.False(t, reached.Load())
}

func TestOriginAddress(t *testing.T) {
	t.Parallel()
	for target, want := range map[string][2]string{
		"http://example.com/":       {"example.com", "example.com:80"},
		"https://example.com":       {"example.com", "example.com:443"},
		"https://example.com:8443/": {"example.com", "example.com:8443"},
		"http://example.com:/":      {"example.com", "example.com:80"},
		"http://[::1]/":             {"::1", "[::1]:80"},
		"https://[::1]:444/":        {"::1", "[::1]:444"},
	} {
		u, err := url.Parse(target)
		require.NoError(t, err)
		host, address := originTo(u).address()
		assert.Equal(t, want, [2]string{host, address}, target)
	}
}
