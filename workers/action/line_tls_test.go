package action

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// secureReceiver is an https receiver; it tells which protocols it was spoken to
// in, and how many connections were made.
func secureReceiver(t *testing.T, w *Webhook, http2 bool) (url string, protocols chan string, connections *atomic.Int64) {
	protocols, connections = make(chan string, 16), new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocols <- r.Proto }))
	s.EnableHTTP2 = http2
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	if w.transport.TLSClientConfig.RootCAs == nil {
		w.transport.TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	}
	return s.URL, protocols, connections
}

func TestLineSpeaksTLS(t *testing.T) {
	t.Parallel()
	w := testWebhook(t)
	url, protocols, connections := secureReceiver(t, w, false)
	for attempt := range 3 {
		out := w.Execute(t.Context(), post(url), attempt+1)
		require.True(t, out.Success, out.Error)
		assert.Equal(t, "HTTP/1.1", <-protocols)
	}
	assert.EqualValues(t, 1, connections.Load())
	assert.Equal(t, 1, w.lines.idle.length, "it was a line's")
}

// A receiver of HTTP/2 is asked which protocol it speaks once.
func TestLineLeavesHTTP2(t *testing.T) {
	t.Parallel()
	w := testWebhook(t)
	url, protocols, connections := secureReceiver(t, w, true)
	for attempt := range 3 {
		out := w.Execute(t.Context(), post(url), attempt+1)
		require.True(t, out.Success, out.Error)
		assert.Equal(t, "HTTP/2.0", <-protocols)
	}
	assert.EqualValues(t, 2, connections.Load(), "one to ask, one to deliver")
	assert.Empty(t, w.lines.origins)
}

// One that has given HTTP/2 up gets lines, after one delivery in between.
func TestLineTakesOverFromHTTP2(t *testing.T) {
	t.Parallel()
	w := testWebhook(t)
	url, protocols, _ := secureReceiver(t, w, false)
	to := originTo(testMessage(t, "POST", url, nil, nil).target)
	w.http2.add(to)
	for range 2 {
		require.True(t, w.Execute(t.Context(), post(url), 1).Success)
		assert.Equal(t, "HTTP/1.1", <-protocols)
	}
	assert.False(t, w.http2.has(to))
	assert.Equal(t, 1, w.lines.idle.length)
}

func TestHTTP2OriginsAreBounded(t *testing.T) {
	t.Parallel()
	var h http2Origins
	for n := range maxHTTP2Origins + 1 {
		h.add(origin{host: string(rune(n))})
	}
	assert.LessOrEqual(t, len(h.known), maxHTTP2Origins)
}
