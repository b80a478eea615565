package db_test

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/testdb"
)

// proxy stands between a pool and Postgres, and breaks the connection when a
// transaction commits: before the server hears of it, or after it has answered.
type proxy struct {
	URL    string
	target string
	listen net.Listener
	wg     sync.WaitGroup
	cut    atomic.Pointer[cut]
	mu     sync.Mutex
	conns  []net.Conn
}

// cut is what to do with the next COMMIT.
type cut struct {
	after bool // let the server commit, and drop its answer
	done  chan struct{}
}

func newProxy(t *testing.T, database *testdb.DB) *proxy {
	t.Helper()
	location, err := url.Parse(database.URL)
	require.NoError(t, err)
	p := &proxy{target: location.Host}
	p.listen, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	location.Host = p.listen.Addr().String()
	query := location.Query()
	query.Set("sslmode", "disable") // it must see the words
	location.RawQuery = query.Encode()
	p.URL = location.String()
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// close breaks all connections, and lets no new ones in.
func (p *proxy) close() {
	_ = p.listen.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// cutNext arms the proxy; the channel tells when it has cut.
func (p *proxy) cutNext(after bool) <-chan struct{} {
	c := &cut{after: after, done: make(chan struct{})}
	p.cut.Store(c)
	return c.done
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		var dropping atomic.Pointer[cut]
		p.wg.Go(func() {
			defer server.Close()
			defer client.Close()
			copyUntil(server, client, func(b []byte) bool {
				if !bytes.Contains(b, []byte("commit\x00")) {
					return true
				}
				c := p.cut.Swap(nil)
				switch {
				case c == nil:
				case c.after:
					dropping.Store(c)
				default:
					close(c.done)
					return false
				}
				return true
			})
		})
		p.wg.Go(func() {
			defer server.Close()
			defer client.Close()
			copyUntil(client, server, func([]byte) bool {
				c := dropping.Load()
				if c != nil {
					close(c.done)
				}
				return c == nil
			})
		})
	}
}

// copyUntil copies what pass lets through.
func copyUntil(to, from net.Conn, pass func([]byte) bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil || !pass(b[:n]) {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
