package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/internal/startstop"
	"github.com/minoots/minoots/internal/testdb"
)

// A whole replica, started and stopped at any moment of its life: while it
// connects, at rest, under load, while Postgres is away. The last one does all
// that the others have left.
func TestReplicaStartsAndStops(t *testing.T) {
	const grace = 300 * time.Millisecond
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(rand.N(5 * time.Millisecond)) // what the receiver takes for it
	}))
	t.Cleanup(receiver.Close)
	database := testdb.New(t)
	p := faultproxy.New(t, database.URL)
	d, err := db.Connect(t.Context(), db.Config{URL: database.URL, Name: "test", MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	_, err = d.TenantCreate(t.Context(), "acme", "")
	require.NoError(t, err)

	var ready atomic.Int64 // lives that came so far
	run := func(ctx context.Context, url string) error {
		var listeners [2]net.Listener
		for i := range listeners {
			listeners[i] = loopbackListener(t)
		}
		cfg := config.Config{
			DatabaseURL: config.SecretOf(url), Roles: config.Roles{API: true, Kernel: true, Worker: true}, ShutdownGrace: grace,
			WebhookAllowCIDRs: loopback,
		}
		r, err := newReplica(ctx, replicaConfig{Config: cfg, Log: slog.New(slog.DiscardHandler), HTTP: listeners[0], Ops: listeners[1]})
		if err != nil {
			return err
		}
		err = r.Run(ctx)
		select {
		case <-r.Ready():
			ready.Add(1)
		default:
		}
		return err
	}
	made := 0
	l := startstop.Loop{
		Rounds: 20, Longest: 500 * time.Millisecond, Within: grace + stopMargin, MayFail: true, // actions may have been cut
		Run: func(ctx context.Context) error { return run(ctx, p.URL()) },
		Meanwhile: func(round int) {
			p.Set(faultproxy.Pass)
			made += createDue(t, d, receiver.URL, 10)
			startstop.AnyMoment(100 * time.Millisecond)
			switch round % 5 {
			case 3:
				p.Cut()
			case 4:
				p.Down()
			}
		},
		After: func() { p.Set(faultproxy.Pass); p.Cut() },
	}
	l.Stress(t)
	t.Logf("%d of %d were ready", ready.Load(), l.Rounds)
	require.NotZero(t, ready.Load())

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, database.URL) }()
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, database.Pool.QueryRow(t.Context(), settled).Scan(&n))
		return n == made
	}, 30*time.Second, 20*time.Millisecond, "%d timers", made)
	cancel()
	require.NoError(t, <-ended)
	audit, err := d.AuditRun(t.Context(), db.AuditRequest{Grace: -time.Second})
	require.NoError(t, err)
	for _, c := range audit.Checks {
		require.Zero(t, c.Found, "%s: %v", c.Name, c.Examples)
	}
}

// createDue creates timers that are due within a tenth of a second.
func createDue(t *testing.T, d *db.DB, url string, timers int) int {
	t.Helper()
	parameters, err := json.Marshal(map[string]string{"url": url})
	require.NoError(t, err)
	fresh := make([]db.NewTimer, timers)
	for i := range fresh {
		at := minoots.InstantOf(d.Clock().Now().Add(time.Duration(rand.Int64N(int64(100 * time.Millisecond)))))
		b := minoots.Bundle{Actions: []minoots.Action{{ID: "a", Kind: minoots.KindWebhook, Parameters: parameters}}}.WithDefaults()
		fresh[i] = db.NewTimer{ID: minoots.NewID(), TenantID: "acme", Spec: minoots.TimerSpec{FireAt: &at, ActionBundle: &b}}
	}
	_, err = d.TimerCreate(t.Context(), fresh)
	require.NoError(t, err)
	return timers
}
