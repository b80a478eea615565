package action

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// scripted answers every request on every connection with the same bytes, and
// closes if told to; it counts connections.
func scripted(t *testing.T, answer string, closes bool) (url string, connections *atomic.Int64) {
	connections = new(atomic.Int64)
	return rawReceiver(t, func(conn *net.TCPConn, _ int) {
		connections.Add(1)
		for readRequest(conn) == nil {
			if _, err := io.WriteString(conn, answer); err != nil || closes {
				return
			}
		}
	}), connections
}

// The ways in which an answer can be framed, and whether its connection is used
// again.
func TestLineReadsAnswers(t *testing.T) {
	t.Parallel()
	const kept, single = 1, 2 // connections for two deliveries
	for name, c := range map[string]struct {
		answer      string
		closes      bool
		status      int
		body        string
		connections int64
	}{
		"no content":                    {"HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", kept},
		"not modified, with a length":   {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, 304, "", kept},
		"length":                        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone", false, 200, "done", kept},
		"length zero":                   {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, "", kept},
		"chunked":                       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ndo\r\n2\r\nne\r\n0\r\n\r\n", false, 200, "done", kept},
		"chunked, with trailers":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n4\r\ndone\r\n0\r\nX-T: v\r\n\r\n", false, 200, "done", kept},
		"until the end":                 {"HTTP/1.1 200 OK\r\n\r\ndone", true, 200, "done", single},
		"says close":                    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\ndone", false, 200, "done", single},
		"HTTP/1.0":                      {"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ndone", false, 200, "done", single},
		"HTTP/1.0 keeps alive":          {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\ndone", false, 200, "done", kept},
		"1xx before":                    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone", false, 200, "done", kept},
		"more than it said":             {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndoneHTTP/1.1 500 Smuggled\r\n\r\n", false, 200, "done", single},
		"content where there is none":   {"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 Smuggled\r\n\r\n", false, 204, "", single},
		"a body larger than is drained": {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000), false, 200, strings.Repeat("x", minoots.MaxResponseCapture), single},
		"a body that is drained":        {"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20_000), false, 200, strings.Repeat("x", minoots.MaxResponseCapture), kept},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, connections := scripted(t, c.answer, c.closes)
			w := testWebhook(t)
			for range 2 {
				out := w.Execute(t.Context(), post(url), 1)
				assert.Equal(t, c.status, out.HTTPStatus, out.Error)
				assert.Equal(t, c.body, string(out.Response))
			}
			assert.Equal(t, c.connections, connections.Load())
		})
	}
}

// Each 1xx answer may be small: all of them together are bounded.
func TestLineBoundsInterimAnswers(t *testing.T) {
	t.Parallel()
	url := rawReceiver(t, func(conn *net.TCPConn, _ int) {
		err := readRequest(conn)
		for err == nil {
			_, err = io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\n\r\n")
		}
	})
	out := testWebhook(t).Execute(t.Context(), post(url), 1)
	assert.Equal(t, ClassProtocol, out.ErrorClass, out.Error)
}

// A line makes of any answer what net/http makes of it. Bodies are compared as far
// as an attempt keeps them.
func FuzzLineAnswersAsNetHTTP(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\ndone",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndone\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndo",
		"HTTP/1.1 200 OK\nContent-Length: 4\n\ndone",
		"HTTP/1.1 200 OK\r\n X: folded\r\n\r\n",
		"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
		"HTTP/1.1 200\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 099 Odd\r\n\r\n", "HTTP/1.1 999 Odd\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n", "HTTP/9 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\nxyz",
		"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 503 Later\r\nRetry-After: 7\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
		"", "H", "HTTP/1.1 2", "\r\nHTTP/1.1 200 OK\r\n\r\n", "\x00\xff", "<html>",
	} {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		url, _ := scripted(t, answer, true)
		w := testWebhook(t)
		plain := testMessage(t, "POST", url, nil, []byte(`1`))
		require.True(t, plain.plain())
		unusual := testMessage(t, "POST", url, map[string]string{"X-Pad": strings.Repeat("x", plainLimit)}, []byte(`1`))
		require.False(t, unusual.plain())
		var line, nethttp minoots.Outcome
		ours := w.send(t.Context(), plain, time.Minute, nil, &line)
		theirs := w.send(t.Context(), unusual, time.Minute, nil, &nethttp)
		require.Equal(t, theirs, ours, "%q", answer)
		require.Equal(t, nethttp, line, "%q", answer)
	})
}
