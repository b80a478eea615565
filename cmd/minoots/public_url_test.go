package main

import (
	"bytes"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPublicURL(t *testing.T) {
	t.Parallel()
	const alone, everywhere = "no API of its own", "listens on all addresses"
	for _, test := range []struct{ listens, addr, public, want, warns string }{
		{"127.0.0.1:0", "", "", "http://127.0.0.1:", ""},
		{"127.0.0.1:0", "", "https://timers.example.com", "https://timers.example.com", ""},
		{":0", "", "", "http://127.0.0.1:", everywhere},
		{"0.0.0.0:0", "", "", "http://127.0.0.1:", everywhere},
		{"", "127.0.0.1:8080", "", "http://127.0.0.1:8080", alone},
		{"", ":8080", "", "http://127.0.0.1:8080", alone},
		{"", "[::1]:8080", "", "http://[::1]:8080", alone},
		{"", "timers.internal:8080", "", "http://timers.internal:8080", alone},
		{"", ":8080", "https://timers.example.com", "https://timers.example.com", ""},
	} {
		var log bytes.Buffer
		r := &replica{log: slog.New(slog.NewTextHandler(&log, nil))}
		r.cfg.HTTPAddr, r.cfg.PublicURL = test.addr, test.public
		if test.listens != "" {
			l, err := net.Listen("tcp", test.listens)
			require.NoError(t, err)
			t.Cleanup(func() { _ = l.Close() })
			r.http = l
		}
		require.Contains(t, r.announcedURL(), test.want)
		if test.warns == "" {
			require.Empty(t, log.String())
		} else {
			require.Contains(t, log.String(), test.warns)
			require.Contains(t, log.String(), "MINOOTS_PUBLIC_URL")
		}
	}
}
