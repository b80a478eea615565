package bench

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever comes is answered as HTTP wants it, and counted if it is a webhook,
// whether the door answers or the server behind it.
func TestReceiverAnswersAnybody(t *testing.T) {
	t.Parallel()
	const tail = " HTTP/1.1\r\nHost: a\r\nwebhook-id: x\r\n"
	for name, c := range map[string]struct {
		request string // of which PATH is a webhook's
		door    bool
		status  int
		counted bool
	}{
		"webhook":             {"POST PATH" + tail + "Content-Length: 2\r\n\r\n{}", true, 204, true},
		"in other letters":    {"POST PATH HTTP/1.1\r\nhost:a\r\nWEBHOOK-ID:x\r\ncontent-length:0\r\n\r\n", true, 204, true},
		"of no run":           {"POST /no/1" + tail + "\r\n", true, 204, false},
		"no instant":          {"POST PATHx" + tail + "\r\n", true, 204, false},
		"chunked":             {"POST PATH" + tail + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", false, 204, true},
		"GET":                 {"GET PATH" + tail + "\r\n", false, 204, true},
		"query":               {"POST PATH?a=b" + tail + "\r\n", false, 204, true},
		"absolute":            {"POST http://aPATH" + tail + "\r\n", false, 204, true},
		"close":               {"POST PATH" + tail + "Connection: close\r\n\r\n", false, 204, true},
		"large header":        {"POST PATH" + tail + "X: " + strings.Repeat("x", 8000) + "\r\n\r\n", false, 204, true},
		"HTTP/1.0":            {"POST PATH HTTP/1.0\r\nwebhook-id: x\r\n\r\n", false, 204, true},
		"no host":             {"POST PATH HTTP/1.1\r\nwebhook-id: x\r\n\r\n", false, 400, false},
		"two lengths":         {"POST PATH" + tail + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", false, 400, false},
		"length of no number": {"POST PATH" + tail + "Content-Length: +2\r\n\r\n{}", false, 400, false},
		"blank in a name":     {"POST PATH" + tail + "Content-Length : 2\r\n\r\n{}", false, 400, false},
		"nonsense":            {"\x16\x03\x01\r\n\r\n", false, 400, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setupReceiver(t)
			n := r.expect("run", 1)
			path := strings.TrimPrefix(n.url, r.base) + "1000000"
			request := strings.Replace(c.request, "PATH", path, 1)
			_, door := readWebhook([]byte(request[:min(len(request), 4096)])) // as much as is read at once
			require.Equal(t, c.door, door)
			conn := dialReceiver(t, r)
			_, err := io.WriteString(conn, request)
			require.NoError(t, err)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, c.status, res.StatusCode)
			came, _ := n.came()
			require.Equal(t, c.counted, came == 1)
		})
	}
}

func dialReceiver(t *testing.T, r *receiver) net.Conn {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(r.base, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn
}

// One connection carries one webhook after another, in pieces and all at once, and
// goes on when the server has taken it over.
func TestReceiverKeepsConnections(t *testing.T) {
	t.Parallel()
	r := setupReceiver(t)
	n := r.expect("run", 6)
	path := strings.TrimPrefix(n.url, r.base) + "1000000"
	webhook := func(id string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: a\r\nwebhook-id: " + id + "\r\nContent-Length: 2\r\n\r\n{}"
	}
	conn := dialReceiver(t, r)
	in := bufio.NewReader(conn)
	answered := func(requests ...string) {
		t.Helper()
		_, err := io.WriteString(conn, strings.Join(requests, ""))
		require.NoError(t, err)
		for range requests {
			res, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, res.StatusCode)
			require.NoError(t, res.Body.Close())
		}
	}
	answered(webhook("a"))
	answered(webhook("b"), webhook("c"), webhook("d"))
	last := webhook("e")
	_, err := io.WriteString(conn, last[:20]) // a header in pieces is the server's
	require.NoError(t, err)
	answered(last[20:])
	answered(webhook("f"))
	<-n.full
}

// A receiver that is closed ends the connections that are open.
func TestReceiverEndsConnections(t *testing.T) {
	t.Parallel()
	r, err := startReceiver(t.Context(), "", "")
	require.NoError(t, err)
	conn := dialReceiver(t, r)
	_, err = io.WriteString(conn, "POST /a/1 HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	_, err = http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.NoError(t, r.close())
	_, err = in.ReadByte()
	require.Error(t, err)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "it was ended, and not waited for")
}
