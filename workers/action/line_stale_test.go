package action

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

const noContent = "HTTP/1.1 204 No Content\r\n\r\n"

// onSecond answers the first request of each connection, and leaves the second to
// serve. It counts requests, of all connections.
func onSecond(t *testing.T, serve func(conn *net.TCPConn, connection int)) (url string, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	return rawReceiver(t, func(conn *net.TCPConn, number int) {
		if readRequest(conn) != nil {
			return
		}
		requests.Add(1)
		_, _ = io.WriteString(conn, noContent)
		if readRequest(conn) != nil {
			return
		}
		requests.Add(1)
		serve(conn, number)
	}), requests
}

func TestLineIsReplacedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		second   func(*net.TCPConn, int)
		class    string
		requests int64
	}{
		"closed":                  {func(*net.TCPConn, int) {}, "", 3},
		"reset":                   {func(conn *net.TCPConn, _ int) { _ = conn.SetLinger(0) }, "", 3},
		"not once it has begun":   {func(conn *net.TCPConn, _ int) { _, _ = io.WriteString(conn, "HTTP/1.1 204 No") }, ClassReset, 2},
		"not when it is nonsense": {func(conn *net.TCPConn, _ int) { _, _ = io.WriteString(conn, "SSH-2.0\r\n\r\n") }, ClassProtocol, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, requests := onSecond(t, c.second)
			w := testWebhook(t)
			require.True(t, w.Execute(t.Context(), post(url), 1).Success)
			out := w.Execute(t.Context(), post(url), 2)
			assert.Equal(t, c.class, out.ErrorClass, out.Error)
			assert.Equal(t, c.requests, requests.Load())
		})
	}
}

// Who closes a new connection as well does not want the request.
func TestLineIsNotReplacedTwice(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	url := rawReceiver(t, func(conn *net.TCPConn, number int) {
		for readRequest(conn) == nil {
			if requests.Add(1) > 1 {
				return
			}
			_, _ = io.WriteString(conn, noContent)
		}
	})
	w := testWebhook(t)
	require.True(t, w.Execute(t.Context(), post(url), 1).Success)
	assert.Equal(t, ClassReset, w.Execute(t.Context(), post(url), 2).ErrorClass)
	assert.EqualValues(t, 3, requests.Load())
}

// A request that has had no answer in time is not sent again.
func TestLineIsNotReplacedAfterTheDeadline(t *testing.T) {
	t.Parallel()
	url, requests := onSecond(t, func(conn *net.TCPConn, _ int) { _, _ = io.Copy(io.Discard, conn) })
	w := testWebhook(t)
	require.True(t, w.Execute(t.Context(), post(url), 1).Success)
	out := w.Execute(t.Context(), testDelivery(minoots.KindWebhook, `{"url": "`+url+`", "timeoutMs": 100}`), 2)
	assert.Equal(t, ClassTimeout, out.ErrorClass, out.Error)
	assert.EqualValues(t, 2, requests.Load())
}

// Words that come on an idle connection answer nothing: neither a 408 before its
// end, nor what another answer had too much.
func TestLineIsAskedBeforeUse(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]string{"end": "", "timeout": "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", "stray": "HTTP/1.1 200 OK\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var connections atomic.Int64
			url := rawReceiver(t, func(conn *net.TCPConn, number int) {
				connections.Add(1)
				if readRequest(conn) != nil {
					return
				}
				_, _ = io.WriteString(conn, noContent)
				if number > 1 {
					_ = readRequest(conn)
					return
				}
				_, _ = io.WriteString(conn, last)
				if last == "" || name == "timeout" {
					_ = conn.CloseWrite()
				}
				_, _ = io.Copy(io.Discard, conn)
			})
			w := testWebhook(t)
			require.True(t, w.Execute(t.Context(), post(url), 1).Success)
			w.lines.mu.Lock()
			var idle *line
			if idle = w.lines.idle.oldest; idle != nil {
				w.lines.mu.Unlock()
				require.Eventually(t, func() bool { return !idle.silent() }, time.Minute, time.Millisecond)
			} else {
				w.lines.mu.Unlock() // it had come with the answer
			}
			out := w.Execute(t.Context(), post(url), 2)
			assert.Equal(t, 204, out.HTTPStatus, out.Error)
			assert.EqualValues(t, 2, connections.Load())
		})
	}
}
