package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/testdb"
)

func loopbackListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// testReplica is a replica on free ports.
func testReplica(t *testing.T, url string, roles config.Roles) (r *replica, api, ops string) {
	t.Helper()
	return replicaOf(t, config.Config{DatabaseURL: config.SecretOf(url), Roles: roles}, slog.DiscardHandler)
}

func replicaOf(t *testing.T, c config.Config, log slog.Handler) (r *replica, api, ops string) {
	t.Helper()
	c.ShutdownGrace = 5 * time.Second
	cfg := replicaConfig{Config: c, Log: slog.New(log), HTTP: loopbackListener(t), Ops: loopbackListener(t)}
	r, err := newReplica(t.Context(), cfg)
	require.NoError(t, err)
	return r, "http://" + cfg.HTTP.Addr().String(), "http://" + cfg.Ops.Addr().String()
}

// runReplica runs one from when it is ready until the test ends.
func runReplica(t *testing.T, c config.Config, log slog.Handler) (api, ops string) {
	t.Helper()
	r, api, ops := replicaOf(t, c, log)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	select {
	case <-r.Ready():
	case err := <-ended:
		require.NoError(t, err)
	}
	return api, ops
}

func get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	res, err := c.Get(url)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, b
}

// withAcme connects to a database and makes the tenant acme there.
func withAcme(t *testing.T, url string) *db.DB {
	t.Helper()
	d := testdb.Connect(t, db.Config{URL: url})
	_, err := d.TenantCreate(t.Context(), "acme", "")
	require.NoError(t, err)
	return d
}
