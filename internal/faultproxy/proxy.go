// Package faultproxy stands between a client and its Postgres, and makes the
// faults that a network makes: for tests and for internal/chaos.
package faultproxy

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Mode is what the proxy does with bytes and new connections.
type Mode int

// Pass forwards. Stall takes bytes and new connections, and forwards nothing
// until the mode changes. Mute forwards what the client says and holds back the
// answers: a commit then happens and nobody hears of it. Refuse ends new
// connections at once, and lets those that there are be.
const (
	Pass Mode = iota
	Stall
	Mute
	Refuse
)

// Proxy forwards TCP connections to a server.
type Proxy struct {
	listener        net.Listener
	network, target string
	dsn             string
	running         sync.WaitGroup

	mu      sync.Mutex
	mode    Mode
	changed chan struct{} // closed at the next change of mode
	conns   map[net.Conn]struct{}
	closed  bool
}

// test is what New needs of a testing.TB: importing that package would bring it
// into the program.
type test interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// New gives a proxy to the server of a Postgres URL, which ends with the test.
func New(t test, serverURL string) *Proxy {
	t.Helper()
	p, err := Start(serverURL)
	if err != nil {
		t.Fatalf("faultproxy: %v", err)
	}
	t.Cleanup(p.Close)
	return p
}

// Start gives a proxy to the server of a Postgres URL.
func Start(serverURL string) (*Proxy, error) {
	config, err := pgx.ParseConfig(serverURL)
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p := &Proxy{changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	p.network, p.target = address(config)
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p.dsn = (&url.URL{
		Scheme: "postgres", User: url.UserPassword(config.User, config.Password),
		Host: p.listener.Addr().String(), Path: "/" + config.Database, RawQuery: "sslmode=disable",
	}).String()
	p.running.Go(p.accept)
	return p, nil
}

func address(config *pgx.ConnConfig) (network, address string) {
	port := strconv.Itoa(int(config.Port))
	if strings.HasPrefix(config.Host, "/") {
		return "unix", config.Host + "/.s.PGSQL." + port
	}
	return "tcp", net.JoinHostPort(config.Host, port)
}

// URL leads to the same database, through the proxy.
func (p *Proxy) URL() string { return p.dsn }

// Set changes the mode.
func (p *Proxy) Set(mode Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
	close(p.changed)
	p.changed = make(chan struct{})
}

// Cut ends all connections; new ones fare as the mode says.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// Down is what a server that is gone looks like: Refuse and Cut.
func (p *Proxy) Down() {
	p.Set(Refuse)
	p.Cut()
}

// Close ends the proxy and all its connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Cut()
	p.Set(Pass)
	p.running.Wait()
}

func (p *Proxy) state() (Mode, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.changed
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if mode, _ := p.state(); mode == Refuse || !p.add(client) {
			_ = client.Close()
			continue
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve joins a client to the server until one of them ends.
func (p *Proxy) serve(client net.Conn) {
	defer p.remove(client)
	server, err := net.Dial(p.network, p.target)
	if err != nil || !p.add(server) {
		return
	}
	defer p.remove(server)
	done := make(chan struct{})
	var once sync.Once
	end := func() {
		once.Do(func() {
			close(done)
			_ = client.Close()
			_ = server.Close()
		})
	}
	p.running.Go(func() { defer end(); p.pump(server, client, done, Stall) })
	p.pump(client, server, done, Stall, Mute)
	end()
}

// pump forwards from one to the other, but waits while a mode holds.
func (p *Proxy) pump(to, from net.Conn, done <-chan struct{}, holding ...Mode) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !p.wait(done, holding) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// wait returns when none of the modes holds, and tells whether there is still
// anybody to forward for.
func (p *Proxy) wait(done <-chan struct{}, holding []Mode) bool {
	for {
		mode, changed := p.state()
		if !slices.Contains(holding, mode) {
			return true
		}
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}

// add takes a connection in, for Cut to find; not any more after the end.
func (p *Proxy) add(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *Proxy) remove(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}
