package action

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/minoots/minoots"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWebhookCheckAccepts(t *testing.T) {
	t.Parallel()
	w := NewWebhook(Config{Allow: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::ffff:10.2.0.0/112"), netip.MustParsePrefix("fd00::/8"),
	}})
	for _, parameters := range []string{
		`{"url": "https://example.com/hook", "method": "POST", "headers": {}, "body": null, "timeoutMs": 10000}`,
		`{"url": "http://example.com:8443?a=b"}`,
		`{"url": "https://93.184.215.14/"}`,
		`{"url": "https://[2606:4700::1]/"}`,
		`{"url": "http://10.1.2.3"}`,
		`{"url": "http://10.2.0.3"}`,
		`{"url": "http://[fd00::1]:80"}`,
		`{"url": "https://example.com", "timeoutMs": 1, "method": "DELETE", "body": "text"}`,
		`{"url": "https://example.com", "timeoutMs": 300000, "headers": {"Content-Type": "text/xml", "X-Tab": "a\tb", "user-agent": "é"}}`,
		`{"url": "https://example.com", "headers": null, "timeoutMs": null, "method": null}`,
		`{"url": "https://123.example.com/` + strings.Repeat("a", 2048-len("https://123.example.com/")) + `"}`,
	} {
		assert.Empty(t, w.Check(json.RawMessage(parameters), nil), parameters)
	}
}

func TestWebhookCheckRefuses(t *testing.T) {
	t.Parallel()
	w := NewWebhook(Config{})
	const ok = `"url": "https://example.com"`
	many := make([]string, maxHeaders+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"x-%d": ""`, i)
	}
	cases := []struct{ parameters, path, says string }{
		{``, "url", "is required"},
		{`{}`, "url", "is required"},
		{`{`, "", "valid JSON"},
		{`[1]`, "", "JSON object"},
		{`{"url": 7}`, "url", "a string"},
		{`{"url": "ftp://example.com"}`, "url", "https://"},
		{`{"url": "example.com/hook"}`, "url", "https://"},
		{`{"url": "https:example.com"}`, "url", "name a host"},
		{`{"url": "https://:80/"}`, "url", "name a host"},
		{`{"url": "https://example.com:0/"}`, "url", "port"},
		{`{"url": "https://example.com:65536/"}`, "url", "port"},
		{`{"url": "https://user:s3cret@example.com"}`, "url", "user name"},
		{`{"url": "https://user:s3cret@exa mple.com"}`, "url", "not a URL"},
		{`{"url": "https://example.com/#"}`, "url", "fragment"},
		{`{"url": "https://example.com/` + strings.Repeat("a", 2048) + `"}`, "url", "2048"},
		{`{"url": "http://127.0.0.1/"}`, "url", "private"},
		{`{"url": "http://[::ffff:10.0.0.1]/"}`, "url", "private"},
		{`{"url": "http://[fe80::1%25eth0]/"}`, "url", "private"},
		{`{"url": "http://169.254.169.254/latest"}`, "url", "MINOOTS_WEBHOOK_ALLOW_CIDRS"},
		{`{"url": "http://LOCALHOST.:8080/"}`, "url", "private"},
		{`{"url": "http://a.localhost"}`, "url", "private"},
		{`{"url": "http://127.1/"}`, "url", "full IP"},
		{`{"url": "http://2130706433/"}`, "url", "full IP"},
		{`{"url": "http://0x7f.0.0.0x1/"}`, "url", "full IP"},
		{`{"url": "http://99999999999999999999"}`, "url", "full IP"},
		{`{` + ok + `, "method": "HEAD"}`, "method", "GET, POST"},
		{`{` + ok + `, "method": "post"}`, "method", "GET, POST"},
		{`{` + ok + `, "timeoutMs": 0}`, "timeoutMs", "from 1 to 300000"},
		{`{` + ok + `, "timeoutMs": 300001}`, "timeoutMs", "from 1 to 300000"},
		{`{` + ok + `, "timeoutMs": 1.5}`, "timeoutMs", "whole number"},
		{`{` + ok + `, "timeoutMs": 99999999999999999999}`, "timeoutMs", "whole number"},
		{`{` + ok + `, "headers": []}`, "headers", "object"},
		{`{` + ok + `, "headers": {"a": 1}}`, "headers", "strings"},
		{`{` + ok + `, "headers": {` + strings.Join(many, ",") + `}}`, "headers", "at most 50, not 51"},
		{`{` + ok + `, "headers": {"": ""}}`, "headers", "name"},
		{`{` + ok + `, "headers": {"a b": ""}}`, "headers", "name"},
		{`{` + ok + `, "headers": {"a\r\nb": ""}}`, "headers", `"a\r\nb"`},
		{`{` + ok + `, "headers": {"x": "a\r\nwebhook-id: b"}}`, "headers.x", "line breaks"},
		{`{` + ok + `, "headers": {"x": "\u0000"}}`, "headers.x", "control"},
		{`{` + ok + `, "headers": {"X": "1", "x": "2"}}`, "headers.", "twice"},
		{`{` + ok + `, "headers": {"Webhook-Id": "1"}}`, "headers.Webhook-Id", "cannot be given"},
		{`{` + ok + `, "headers": {"x-minoots-attempt": "1"}}`, "headers.x-minoots-attempt", "cannot be given"},
		{`{` + ok + `, "headers": {"Host": "inside"}}`, "headers.Host", "cannot be given"},
		{`{` + ok + `, "headers": {"Transfer-Encoding": "chunked"}}`, "headers.Transfer-Encoding", "cannot be given"},
		{`{` + ok + `, "timeout": 5}`, "timeout", "url, method, headers, body, timeoutMs"},
		{`{"URL": "https://example.com"}`, "URL", "is not a parameter"},
	}
	for _, c := range cases {
		bad := w.Check(json.RawMessage(c.parameters), nil)
		require.Len(t, bad, 1, c.parameters)
		assert.True(t, strings.HasPrefix(bad[0].Path, strings.TrimSuffix("parameters."+c.path, ".")), "%s: %s", c.parameters, bad[0].Path)
		assert.Contains(t, bad[0].Message, c.says, c.parameters)
		assert.NotContains(t, bad[0].Message, "s3cret")
	}
}

func TestWebhookCheckTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	bad := NewWebhook(Config{}).Check(json.RawMessage(`{"method": "", "timeoutMs": -1, "other": 1, "headers": {"te": "", "b\n": ""}}`), nil)
	paths := make([]string, 0, len(bad))
	for _, f := range bad {
		paths = append(paths, f.Path)
	}
	assert.Equal(t, []string{
		"parameters.headers", "parameters.headers.te", "parameters.method", "parameters.other", "parameters.timeoutMs", "parameters.url",
	}, paths)
}

// What passes the check is written to the wire as one well-formed request with
// our headers, no more of the caller's than were given, and the body untouched.
func FuzzWebhookCheck(f *testing.F) {
	f.Add("https://example.com/hook", "POST", "X-A", "b", `{"a":1}`, int64(10000))
	f.Add("http://[::1]:80/?q", "GET", "content-type", "a\r\nb", "null", int64(0))
	f.Add("http://127.1#x", "DELETE", "Webhook-Id", "\x00", "", int64(-1))
	w := NewWebhook(Config{Allow: loopback})
	f.Fuzz(func(t *testing.T, url, method, name, value, body string, timeout int64) {
		given := map[string]any{"url": url, "method": method, "headers": map[string]string{name: value}, "timeoutMs": timeout}
		if json.Valid([]byte(body)) {
			given["body"] = json.RawMessage(body)
		}
		parameters, err := json.Marshal(given)
		require.NoError(t, err)
		for _, raw := range []string{string(parameters), body} {
			if len(w.Check(json.RawMessage(raw), nil)) == 0 {
				requireSound(t, testDelivery(minoots.KindWebhook, raw))
			}
		}
	})
}

func requireSound(t *testing.T, d minoots.Delivery) {
	t.Helper()
	spec, bad := parseWebhook(d.Action.Parameters)
	require.Empty(t, bad)
	m, err := newMessage(&d, spec, 1)
	require.NoError(t, err)
	var wire bytes.Buffer
	require.NoError(t, m.request(t.Context(), [][]byte{[]byte("secret")}, time.Now(), []string{"minoots/dev"}).Write(&wire))
	in := bufio.NewReader(&wire)
	got, err := http.ReadRequest(in)
	require.NoError(t, err)
	require.Equal(t, d.WebhookID(), got.Header.Get("webhook-id"))
	require.LessOrEqual(t, len(got.Header), 10+len(spec.Headers))
	require.Equal(t, int64(len(m.body)), max(got.ContentLength, 0))
	_, err = in.Discard(len(m.body))
	require.NoError(t, err)
	require.Zero(t, in.Buffered(), "nothing after the body")
}

// TestExactParametersHaveNoUnknown: what is exact is not looked at again for names
// that encoding/json would take or ignore.
func TestExactParametersHaveNoUnknown(t *testing.T) {
	t.Parallel()
	for parameters, exact := range map[string]bool{
		`{"url":"https://example.com/"}`: true,
		` {"url":"https://example.com/","method":null,"headers":{"a":"b","a":"c"},"body":{"url":1,"url":2},"timeoutMs":1} `: true,
		`{"\u0075rl":"https://example.com/"}`:                     true,
		`{"URL":"https://example.com/"}`:                          false,
		`{"url":"https://example.com/","timeout":1}`:              false,
		`{"url":"https://a.example/","url":"https://b.example/"}`: false,
		`{"url":"https://example.com/","body":"\ud800"}`:          false,
	} {
		spec, bad := parseWebhook(json.RawMessage(parameters))
		require.Empty(t, bad, parameters)
		assert.Equal(t, exact, spec.exact, parameters)
		if exact {
			bad.addUnknown(json.RawMessage(parameters), webhookParameters)
			assert.Empty(t, bad, parameters)
		}
		want := &webhookSpec{Method: "POST", TimeoutMs: defaultTimeout.Milliseconds()}
		require.NoError(t, json.Unmarshal([]byte(parameters), want))
		want.target, want.exact = spec.target, spec.exact
		assert.Equal(t, want, spec, parameters)
	}
}
