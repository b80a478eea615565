package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/config"
)

// A stop lets requests finish, and cuts those that take longer than the grace.
func TestHTTPDrain(t *testing.T) {
	t.Parallel()
	for name, grace := range map[string]time.Duration{"in time": time.Minute, "cut": time.Millisecond} {
		began, finish, cut := make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
		p := startHTTP("test", loopbackListener(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(began)
			select {
			case <-finish:
			case <-r.Context().Done():
				cut <- struct{}{}
			}
		}), slog.New(slog.DiscardHandler))
		answered := make(chan bool, 1)
		go func() {
			c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			res, err := c.Get("http://" + p.addr)
			if err == nil {
				_ = res.Body.Close()
			}
			answered <- err == nil
		}()
		<-began
		if name == "in time" {
			close(finish)
		}
		ctx, cancel := context.WithTimeout(t.Context(), grace)
		err := p.drain(ctx)
		cancel()
		if name == "in time" {
			require.NoError(t, err)
			require.True(t, <-answered)
			continue
		}
		require.ErrorContains(t, err, "cut")
		<-cut
		<-answered // an error, or the answer of a handler that was quick to see the cut
	}
}

func TestListenNear(t *testing.T) {
	t.Parallel()
	taken := loopbackListener(t).Addr().String()
	l, err := listenNear(t.Context(), taken, config.HTTPAddr, false, io.Discard)
	require.NoError(t, err)
	require.NotEqual(t, taken, l.Addr().String())
	require.NoError(t, l.Close())
	_, err = listenNear(t.Context(), taken, config.HTTPAddr, true, io.Discard)
	require.ErrorContains(t, err, config.HTTPAddr)
}
