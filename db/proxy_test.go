package db_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/testdb"
)

// commits are the ways in which a COMMIT travels: as a query of its own, and, at the
// end of a batch, as a prepared statement that is bound. The name of that follows
// from its text; what goes before it tells a Bind, with its unnamed portal, from
// the Parse that merely prepares it.
var commits = [][]byte{[]byte("commit\x00"), boundCommit()}

func boundCommit() []byte {
	digest := sha256.Sum256([]byte("COMMIT"))
	return []byte("\x00stmtcache_" + hex.EncodeToString(digest[:24]) + "\x00")
}

// committing tells whether there is a COMMIT in what a client sends.
func committing(b []byte) bool {
	return slices.ContainsFunc(commits, func(way []byte) bool { return bytes.Contains(b, way) })
}

// idle is in the answer to a transaction that is over: ReadyForQuery.
var idle = []byte("Z\x00\x00\x00\x05I")

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
			var before []byte // the end of what was read before: a COMMIT may come in two parts
			copyUntil(server, client, func(b []byte) bool {
				seen := append(before, b...)
				before = slices.Clone(seen[max(0, len(seen)-len(commits[1])+1):])
				if !committing(seen) {
					return true
				}
				before = nil
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
			copyUntil(client, server, func(b []byte) bool {
				c := dropping.Load()
				if c == nil {
					return true
				}
				// The answer to a batch may come in parts. Who hangs up before the last
				// of them may have the server roll back.
				for !bytes.Contains(b, idle) {
					n, err := server.Read(b[:cap(b)])
					if err != nil {
						break
					}
					b = b[:n]
				}
				close(c.done)
				return false
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
