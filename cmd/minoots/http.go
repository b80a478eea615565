package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// httpPart is an HTTP server at work. A nil one is an API that this replica does
// not have.
type httpPart struct {
	name   string
	addr   string
	server *http.Server
	cut    context.CancelFunc // ends the contexts of all requests
	ended  chan error
}

// startHTTP serves on a listener. There is no write timeout: event streams and
// long polls set deadlines of their own.
func startHTTP(name string, l net.Listener, h http.Handler, log *slog.Logger) *httpPart {
	ctx, cut := context.WithCancel(context.Background())
	p := &httpPart{name: name, addr: l.Addr().String(), cut: cut, ended: make(chan error, 1)}
	p.server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.With("part", name).Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	// HTTP/2 without TLS, too: for event streams behind a proxy, and gRPC.
	p.server.Protocols = new(http.Protocols)
	p.server.Protocols.SetHTTP1(true)
	p.server.Protocols.SetUnencryptedHTTP2(true)
	go func() { p.ended <- p.server.Serve(l) }()
	return p
}

// failed receives the error of a server that ended by itself.
func (p *httpPart) failed() <-chan error {
	if p == nil {
		return nil
	}
	return p.ended
}

// drain takes no new requests and lets those under way finish until ctx is done,
// then cuts them.
func (p *httpPart) drain(ctx context.Context) error {
	if p == nil {
		return nil
	}
	err := p.server.Shutdown(ctx)
	p.cut()
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(fmt.Errorf("stop the %s server: requests still under way were cut", p.name), p.server.Close())
	}
	return err
}

// close ends the server at once, unless it has ended.
func (p *httpPart) close() {
	p.cut()
	_ = p.server.Close()
}

// ServeHTTP hands requests to the API, or says that it is not there yet.
func (r *replica) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if h := r.handler.Load(); h != nil {
		(*h).ServeHTTP(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"type":"urn:minoots:problem:unavailable","title":"The service cannot answer now","status":503,` +
		`"code":"unavailable","detail":"this replica is starting","hint":"try again shortly","requestId":""}` + "\n"))
}
