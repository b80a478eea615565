package action

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// errHTTP2 says that the receiver would rather speak HTTP/2.
var errHTTP2 = errors.New("the receiver chose HTTP/2")

// line is a connection that carries one exchange after another.
type line struct {
	net.Conn // TLS, if the origin speaks it
	to       origin
	cut      func()      // closes the socket, whoever waits on it
	silent   func() bool // nothing has come since the last answer, not even the end
	kept     bool        // has been idle, or carried an exchange

	// Of the pool:
	since        time.Time // idle since
	older, newer *line     // among all idle ones
}

// lineDialer makes lines.
type lineDialer struct {
	guard *guard
	tls   func() *tls.Config
}

// newLineDialer takes its settings of TLS from the transport, when it first needs
// them, and copies them.
func newLineDialer(g *guard, t *http.Transport) lineDialer {
	return lineDialer{g, sync.OnceValue(func() *tls.Config {
		t.CloseIdleConnections() // the transport adds to its settings once, and has then done so
		config := t.TLSClientConfig.Clone()
		config.NextProtos = []string{"h2", "http/1.1"}
		return config
	})}
}

// open connects and shakes hands.
func (d lineDialer) open(ctx context.Context, to origin) (*line, error) {
	host, address := to.address()
	conn, err := d.guard.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l := &line{Conn: conn, to: to, cut: func() { _ = conn.Close() }, silent: silence(conn)}
	if !to.tls {
		return l, nil
	}
	config := d.tls().Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	secured := tls.Client(conn, config)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	err = secured.HandshakeContext(ctx)
	if err == nil && secured.ConnectionState().NegotiatedProtocol == "h2" {
		err = errHTTP2
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	l.Conn = secured
	return l, nil
}
