package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// A whole process, with an action under way when it is told to stop: one signal
// lets the action finish, a second one cuts it.
func TestSignals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		hurry  bool
		status int
		timer  minoots.Status
	}{
		"one signal":  {false, exitDone, minoots.StatusSettled},
		"two signals": {true, exitFailed, minoots.StatusFired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startService(t)
			began, finish := make(chan struct{}, 8), make(chan struct{})
			receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // the server notices a cut only after the body
				began <- struct{}{}
				select {
				case <-finish:
				case <-r.Context().Done():
				}
			}))
			t.Cleanup(receiver.Close)
			now := minoots.Duration(time.Millisecond)
			timer, err := s.client.CreateTimer(t.Context(), minoots.TimerSpec{Duration: &now, ActionBundle: &minoots.Bundle{
				Actions: []minoots.Action{{ID: "a", Kind: minoots.KindWebhook, Parameters: json.RawMessage(`{"url":"` + receiver.URL + `"}`)}},
			}}, "")
			require.NoError(t, err)
			<-began

			require.NoError(t, s.process.Process.Signal(syscall.SIGTERM))
			if !test.hurry { // the echo that timeout(1) sends to the process's group is no hurry
				require.NoError(t, s.process.Process.Signal(syscall.SIGTERM))
			}
			require.Eventually(t, func() bool {
				status, _ := get(t, s.ops+"/readyz")
				return status == http.StatusServiceUnavailable
			}, 10*time.Second, 5*time.Millisecond, "not ready any more, but there to say so")
			status, body := get(t, s.ops+"/readyz")
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Contains(t, string(body), `"stopping"`)
			if !test.hurry {
				close(finish)
			}
			ended := make(chan int, 1)
			go func() { ended <- s.wait() }()
			again := time.NewTicker(sameSignal * 3 / 2)
			defer again.Stop()
			for running := true; running; {
				select {
				case status := <-ended:
					require.Equal(t, test.status, status)
					running = false
				case <-again.C:
					if test.hurry {
						_ = s.process.Process.Signal(syscall.SIGTERM) // it may have ended by now
					}
				}
			}
			require.Equal(t, test.timer, s.statusOf(t, timer.ID))
		})
	}
}

// service is a replica in a process of its own.
type service struct {
	process  *exec.Cmd
	client   *client.Client
	ops, key string
	database *testdb.DB
}

func startService(t *testing.T) *service {
	t.Helper()
	database := testdb.New(t)
	at := "--database-url=" + database.URL
	status, _, errOut := cli(t, "", "tenants", "create", "acme", at)
	require.Equal(t, exitDone, status, errOut)
	_, key, _ := cli(t, "", "keys", "create", "--tenant=acme", at)
	return startProcess(t, database, strings.TrimSpace(key))
}

// startProcess starts one more replica on a database, with a tenant's key to it.
func startProcess(t *testing.T, database *testdb.DB, key string, args ...string) *service {
	t.Helper()
	s := &service{database: database, key: key}
	// The addresses are free when they are asked for; that is as good as it gets
	// with another process.
	api, ops := loopbackListener(t), loopbackListener(t)
	httpAddr, opsAddr := api.Addr().String(), ops.Addr().String()
	require.NoError(t, api.Close())
	require.NoError(t, ops.Close())
	s.process = exec.Command(os.Args[0], append([]string{"serve", "--database-url=" + database.URL, "--http-addr=" + httpAddr, "--ops-addr=" + opsAddr,
		"--webhook-allow-cidrs=127.0.0.1", "--log-level=error", "--shutdown-grace=30s"}, args...)...)
	s.process.Env = append(os.Environ(), asProgram+"=1")
	s.process.Stderr = t.Output()
	require.NoError(t, s.process.Start())
	t.Cleanup(func() { _ = s.process.Process.Kill() })
	s.ops = "http://" + opsAddr
	require.Eventually(t, func() bool {
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := c.Get(s.ops + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, 20*time.Second, 20*time.Millisecond)
	var err error
	s.client, err = client.New("http://"+httpAddr, key)
	require.NoError(t, err)
	t.Cleanup(s.client.Close)
	return s
}

// wait gives the exit status.
func (s *service) wait() int {
	_ = s.process.Wait()
	return s.process.ProcessState.ExitCode()
}

func (s *service) statusOf(t *testing.T, id minoots.ID) minoots.Status {
	t.Helper()
	d, err := db.Connect(t.Context(), db.Config{URL: s.database.URL, Name: "test", MaxConns: 1})
	require.NoError(t, err)
	defer d.Close()
	timer, err := d.TimerGet(t.Context(), "acme", id)
	require.NoError(t, err)
	return timer.Status
}
