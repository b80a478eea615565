package natsconn

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patient = 30 * time.Second

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func open(t *testing.T, url string) (*Conn, *lines) {
	t.Helper()
	log := &lines{}
	c, err := Open(Config{URL: url, Name: "test", Log: slog.New(slog.NewTextHandler(log, nil)), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, log
}

func start(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true,
		Username: "minoots", Password: "s3cret",
	})
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(patient))
	return s
}

func stop(s *server.Server) { s.Shutdown(); s.WaitForShutdown() }

// A server that is away at the start, comes, goes and comes back.
func TestConnComesAndGoes(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	dir := t.TempDir()
	c, log := open(t, "nats://minoots:s3cret@"+listener.Addr().String())
	publish := func() error {
		msg := nats.NewMsg("minoots.test.a")
		_, err := c.PublishMsg(t.Context(), msg)
		return err
	}
	require.ErrorIs(t, publish(), nats.ErrDisconnected)
	require.False(t, c.Connected())

	s := start(t, dir, port)
	require.Eventually(t, c.Connected, patient, 5*time.Millisecond)
	require.ErrorIs(t, publish(), jetstream.ErrNoStreamResponse)
	_, err = c.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "TEST", Subjects: []string{"minoots.test.>"}})
	require.NoError(t, err)
	require.NoError(t, publish())

	stop(s)
	require.Eventually(t, func() bool { return testutil.ToFloat64(c.metrics.up) == 0 }, patient, 5*time.Millisecond)
	s = start(t, dir, port)
	t.Cleanup(func() { stop(s) })
	require.Eventually(t, func() bool { return publish() == nil }, patient, 5*time.Millisecond)
	require.EqualValues(t, 2, testutil.ToFloat64(c.metrics.connects))
	require.Contains(t, log.String(), "NATS is away")
	require.NotContains(t, log.String(), "s3cret")
}

// An address that takes connections and says nothing holds nobody up.
func TestOpenDoesNotWait(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	began := time.Now()
	c, _ := open(t, "nats://"+listener.Addr().String())
	require.Less(t, time.Since(began), time.Second, "less than a dial may take")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.PublishMsg(ctx, nats.NewMsg("a"))
	require.ErrorIs(t, err, nats.ErrDisconnected, "and it ends with its context")
}

func TestOpenDoesNotTellThePassword(t *testing.T) {
	t.Parallel()
	_, err := Open(Config{URL: "nats://minoots:s3cret@[::1", Registerer: prometheus.NewRegistry()})
	require.Error(t, err)
	require.False(t, strings.Contains(err.Error(), "s3cret"), err.Error())
}
