// Package natsconn is a replica's one connection to NATS, for all that publish:
// workflow_event actions and the relay of events. It never holds up a start: it
// connects in the background, and again for as long as the replica lives.
package natsconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says where NATS is.
type Config struct {
	// URL is one server or several, separated by commas. It may hold a password
	// and is never logged.
	URL string
	// Name is what the server shows of this connection, such as the replica's name.
	Name       string
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

const (
	dialTimeout = 2 * time.Second
	pauseFirst  = 10 * time.Millisecond
	pauseLeast  = 250 * time.Millisecond // and doubling
	pauseMost   = 5 * time.Second
	// A half-open connection is found within twice this.
	pingInterval = 20 * time.Second
	// patience is how long a publication waits for a connection that is away: a
	// server that restarts costs no attempt, one that is down does not hold workers.
	patience = 2 * time.Second
)

// Conn is a connection that comes and goes. It is safe for concurrent use.
type Conn struct {
	nats    *nats.Conn
	stream  jetstream.JetStream
	log     *slog.Logger
	metrics *metrics

	mu sync.Mutex
	up chan struct{} // closed while there is a connection
}

// Open makes the connection and returns without waiting for it. An error means
// that the settings are wrong, not that NATS is away.
func Open(cfg Config) (*Conn, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	c := &Conn{log: cfg.Log.With("part", "nats"), up: make(chan struct{})}
	var err error
	if c.metrics, err = newMetrics(cfg.Registerer); err != nil {
		return nil, fmt.Errorf("register NATS metrics: %w", err)
	}
	dialer := &lateDialer{}
	// The library's errors may repeat the URL, so they are left out.
	if c.nats, err = nats.Connect(strings.ReplaceAll(cfg.URL, " ", ","), append(c.options(cfg.Name), nats.SetCustomDialer(dialer))...); err != nil {
		return nil, errors.New("NATS does not take the settings of MINOOTS_NATS_URL")
	}
	dialer.now.Store(true)
	if c.stream, err = jetstream.New(c.nats); err != nil {
		c.nats.Close()
		return nil, errors.New("JetStream does not take the settings of MINOOTS_NATS_URL")
	}
	return c, nil
}

// lateDialer refuses the dials of Open, which the library makes before it returns
// and which may wait for an address that swallows packets. It goes on to dial in
// the background at once.
type lateDialer struct{ now atomic.Bool }

var errNotYet = errors.New("not yet")

// Dial implements nats.CustomDialer.
func (d *lateDialer) Dial(network, address string) (net.Conn, error) {
	if !d.now.Load() {
		return nil, errNotYet
	}
	return (&net.Dialer{Timeout: dialTimeout}).Dial(network, address)
}

func (c *Conn) options(name string) []nats.Option {
	return []nats.Option{
		nats.Name("minoots " + name), nats.Timeout(dialTimeout), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.CustomReconnectDelay(pause),
		nats.SkipHostLookup(),       // the dialer resolves, each time
		nats.IgnoreAuthErrorAbort(), // an operator may mend the account while we run
		// Nothing is kept back for a later connection: who publishes waits for the
		// answer, and would have given up and asked again by then.
		nats.ReconnectBufSize(-1),
		nats.ConnectHandler(c.connected), nats.ReconnectHandler(c.connected),
		nats.DisconnectErrHandler(c.disconnected),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.log.Warn("NATS reports an error", "error", err) }),
	}
}

// pause is how long to wait before the nth round of attempts to connect.
func pause(n int) time.Duration {
	if n <= 1 {
		return pauseFirst
	}
	p := min(pauseLeast<<min(n-2, 10), pauseMost)
	return p/2 + rand.N(p/2)
}

func (c *Conn) connected(conn *nats.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.up: // told already
		return
	default:
		close(c.up)
	}
	c.metrics.up.Set(1)
	c.metrics.connects.Inc()
	c.log.Info("connected to NATS", "server", conn.ConnectedUrlRedacted())
}

func (c *Conn) disconnected(conn *nats.Conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.up:
		c.up = make(chan struct{})
	default: // there was none
		return
	}
	c.metrics.up.Set(0)
	if !conn.IsClosed() {
		c.log.Warn("NATS is away: what is published now fails and is tried again; connecting", "error", err)
	}
}

// PublishMsg publishes to JetStream and waits for the server's acknowledgement, or
// until ctx is done. While there is no connection it waits a moment for one, and
// then gives nats.ErrDisconnected.
func (c *Conn) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	return c.stream.PublishMsg(ctx, msg, opts...)
}

func (c *Conn) wait(ctx context.Context) error {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
		return nil
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return nats.ErrDisconnected
}

// JetStream gives the connection's client, for more than publishing. Its calls fail
// while there is no connection.
func (c *Conn) JetStream() jetstream.JetStream { return c.stream }

// Connected tells whether there is a connection.
func (c *Conn) Connected() bool { return c.nats.IsConnected() }

// Close ends the connection. Call it when nothing is being published.
func (c *Conn) Close() { c.nats.Close() }
