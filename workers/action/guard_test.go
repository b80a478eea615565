package action

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a name resolves to is looked at on every dial, and nothing else is believed.
func TestGuardDeniesByResolvedAddress(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	s := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.Header().Set("Connection", "close") // so that each attempt dials
	})
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	d := post("http://receiver.test:" + port)

	t.Run("private on every attempt", func(t *testing.T) {
		w := testWebhook(t, func(c *Config) { c.Allow = nil })
		resolveTo(w, []string{"127.0.0.1"})
		require.Empty(t, w.Check(d.Action.Parameters, nil), "a name cannot be judged before the dial")
		for attempt := 1; attempt <= 3; attempt++ {
			out := w.Execute(t.Context(), d, attempt)
			assert.Equal(t, ClassAddressDenied, out.ErrorClass, out.Error)
			assert.False(t, out.Retryable)
			assert.NotContains(t, out.Error, "127.0.0.1", "inside addresses are not the tenant's business")
		}
		assert.Zero(t, reached.Load())
	})
	t.Run("rebinding", func(t *testing.T) {
		w := testWebhook(t, func(c *Config) { c.Allow = loopback[:1] })
		resolveTo(w, []string{"127.0.0.1"}, []string{"169.254.169.254"})
		// The first also shows that the proxy of the environment is not used.
		require.True(t, w.Execute(t.Context(), d, 1).Success)
		assert.Equal(t, ClassAddressDenied, w.Execute(t.Context(), d, 2).ErrorClass)
		assert.EqualValues(t, 1, reached.Load())
	})
	t.Run("a denied address beside one that is down", func(t *testing.T) {
		w := testWebhook(t, func(c *Config) { c.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
		resolveTo(w, []string{"127.0.0.2", "127.0.0.1"})
		out := w.Execute(t.Context(), post(strings.Replace(refusing(t), "127.0.0.1", "receiver.test", 1)), 1)
		assert.Equal(t, ClassUnreachable, out.ErrorClass, out.Error)
		assert.True(t, out.Retryable)
	})
}
