package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/internal/testdb"
	"github.com/minoots/minoots/kernel"
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
	cfg := replicaConfig{
		Config: config.Config{DatabaseURL: config.SecretOf(url), Roles: roles, ShutdownGrace: 5 * time.Second},
		Log:    slog.New(slog.DiscardHandler), HTTP: loopbackListener(t), Ops: loopbackListener(t),
	}
	r, err := newReplica(t.Context(), cfg)
	require.NoError(t, err)
	return r, "http://" + cfg.HTTP.Addr().String(), "http://" + cfg.Ops.Addr().String()
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

func TestReplicaRunsAndStops(t *testing.T) {
	t.Parallel()
	r, api, ops := testReplica(t, testdb.New(t).URL, config.Roles{API: true, Kernel: true, Worker: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	select {
	case <-r.Ready():
	case err := <-ended:
		require.NoError(t, err)
	}
	var answer readiness
	require.Eventually(t, func() bool {
		status, body := get(t, ops+"/readyz")
		require.Equal(t, 200, status, string(body))
		require.NoError(t, json.Unmarshal(body, &answer))
		return answer.Listener == "on"
	}, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, "ready", answer.Status)
	require.Equal(t, []string{"api", "kernel", "worker"}, answer.Roles)
	status, _ := get(t, ops+"/livez")
	require.Equal(t, 200, status)
	_, metrics := get(t, ops+"/metrics")
	require.Contains(t, string(metrics), "minoots_build_info")
	status, body := get(t, api+"/v1/timers")
	require.Equal(t, 401, status, string(body))

	cancel()
	require.NoError(t, <-ended)
	_, err := net.Dial("tcp", r.http.Addr().String())
	require.Error(t, err, "the API's port is closed")
}

// A replica may come up before its database: it waits, says so, and can be stopped.
func TestReplicaWaitsForPostgres(t *testing.T) {
	t.Parallel()
	r, api, ops := testReplica(t, "postgres://postgres@127.0.0.1:1/x", config.Roles{API: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	status, body := get(t, ops+"/readyz")
	require.Equal(t, 503, status)
	require.Contains(t, string(body), "waiting for Postgres")
	status, body = get(t, api+"/v1/timers")
	require.Equal(t, 503, status)
	require.Contains(t, string(body), `"code":"unavailable"`)
	status, _ = get(t, ops+"/livez")
	require.Equal(t, 200, status)
	cancel()
	require.NoError(t, <-ended)
}

// An outage ends no replica: it serves again when Postgres is back.
func TestReplicaLivesThroughAnOutage(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, testdb.New(t).URL)
	r, _, ops := testReplica(t, p.URL(), config.Roles{API: true, Kernel: true, Worker: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	present := func(want string) func() bool {
		return func() bool {
			_, metrics := get(t, ops+"/metrics")
			status, _ := get(t, ops+"/readyz")
			return strings.Contains(string(metrics), "\nminoots_presence_up "+want+"\n") && (status == 200) == (want == "1")
		}
	}
	<-r.Ready()
	for range 2 {
		require.Eventually(t, present("1"), 10*time.Second, 20*time.Millisecond)
		p.Down()
		require.Eventually(t, present("0"), 10*time.Second, 20*time.Millisecond)
		p.Set(faultproxy.Pass)
	}
	require.Eventually(t, present("1"), 10*time.Second, 20*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
}

// pretend is a database in some state.
type pretend struct {
	away    error
	pending bool
	refused error
}

func (p pretend) Ping(context.Context) error                      { return p.away }
func (p pretend) MigrationsPending(context.Context) (bool, error) { return p.pending, nil }
func (p pretend) WritesRefused(context.Context) error             { return p.refused }

func TestReadiness(t *testing.T) {
	t.Parallel()
	listening := func() kernel.Status { return kernel.Status{Listening: true} }
	deaf := func() kernel.Status { return kernel.Status{Seat: -1} }
	stuck := func() kernel.Status {
		return kernel.Status{Listening: true, LastLook: time.Now().Add(-time.Hour)}
	}
	for name, test := range map[string]struct {
		health             *health
		ok                 bool
		status, listenerIs string
	}{
		"ready":          {&health{phase: phaseReady, database: pretend{}, kernel: listening, listener: true}, true, "ready", "on"},
		"no kernel":      {&health{phase: phaseReady, database: pretend{}}, true, "ready", "off"},
		"poll only":      {&health{phase: phaseReady, database: pretend{}, kernel: deaf}, true, "ready", "off"},
		"listener lost":  {&health{phase: phaseReady, database: pretend{}, kernel: deaf, listener: true}, true, "degraded", "lost"},
		"kernel stuck":   {&health{phase: phaseReady, database: pretend{}, kernel: stuck, listener: true}, true, "degraded", "on"},
		"database away":  {&health{phase: phaseReady, database: pretend{away: errors.New("x")}}, false, "unavailable", "off"},
		"writes refused": {&health{phase: phaseReady, database: pretend{refused: errors.New("x")}}, false, "unavailable", "off"},
		"schema pending": {&health{phase: phaseReady, database: pretend{pending: true}}, false, "unavailable", "off"},
		"starting":       {&health{phase: phaseStarting, reason: "waiting"}, false, "starting", "off"},
		"stopping":       {&health{phase: phaseStopping, reason: "x", database: pretend{}, kernel: listening}, false, "stopping", "on"},
		"failed":         {&health{phase: phaseFailed, reason: "x"}, false, "failed", "off"},
	} {
		r := test.health.check(t.Context())
		require.Equal(t, test.ok, r.ok(), name)
		require.Equal(t, test.status, r.Status, name)
		require.Equal(t, test.listenerIs, r.Listener, name)
		require.Equal(t, test.status == phaseReady, r.Reason == "", name)
	}
	h := &health{phase: phaseReady}
	h.fail("the kernel ended")
	h.set(phaseStopping, "")
	require.Equal(t, phaseFailed, h.phase, "for good")
}

func TestLoop(t *testing.T) {
	t.Parallel()
	ended := make(chan *loop, 1)
	obedient := &loop{name: "obedient", run: func(ctx context.Context) error { <-ctx.Done(); return nil }}
	obedient.start(t.Context(), ended)
	require.NoError(t, obedient.stop(time.Minute))

	release := make(chan struct{})
	stubborn := &loop{name: "stubborn", run: func(context.Context) error { <-release; return nil }}
	stubborn.start(t.Context(), ended)
	require.ErrorContains(t, stubborn.stop(time.Millisecond), "stubborn")
	close(release)
	<-stubborn.done

	broken := &loop{name: "broken", run: func(context.Context) error { return errors.New("why") }}
	broken.start(t.Context(), ended)
	require.Same(t, broken, <-ended)
	require.EqualError(t, broken.cause(), "why")
	require.NoError(t, broken.stop(time.Minute), "reported already")
	require.NoError(t, (*loop)(nil).stop(0))
	require.Empty(t, ended)
}
