package action

import (
	"crypto/tls"
	"net/http"
	"time"
)

const (
	// Below this many bytes of answer header, trailers and 1xx answers included;
	// net/http's own limit is 10 MiB, times hundreds of deliveries.
	maxAnswerHeader = 64 << 10
	// A storm's next wave finds the connections of the last one; a receiver that
	// is called once an hour does not hold a socket for it.
	idleTimeout = 30 * time.Second
	// Enough for a slow handshake across the world.
	handshakeTimeout = 10 * time.Second
)

// newTransport builds the HTTP client for what does not go over a line. It is a bare
// Transport and not an http.Client: a Transport makes one exchange and follows no
// redirect, keeps no cookie and adds no Referer, so there is nothing to switch off.
//
// One pool serves all tenants. A connection carries no credential and no state
// of a tenant, and 20,000 deliveries to one platform must not mean a handshake
// for each of its tenants.
func newTransport(g *guard, concurrency int) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true) // by ALPN, so for https only

	return &http.Transport{
		// Not even from the environment: a proxy would resolve and dial for us,
		// behind the guard's back.
		Proxy:       nil,
		DialContext: g.dial,
		Protocols:   &protocols,

		// Everybody may deliver to the same host, and must then find a kept
		// connection. The default of two idle ones per host would close all others
		// after each delivery: a new handshake each, and the ports run out.
		MaxIdleConnsPerHost: concurrency,
		MaxIdleConns:        4 * concurrency,
		IdleConnTimeout:     idleTimeout,
		// Dials outlive the delivery that gave up on them (dialTimeout). This keeps
		// short timeouts to a host that swallows packets from piling up sockets.
		MaxConnsPerHost: concurrency,

		// Resuming a session saves a storm's second wave most of each handshake.
		TLSClientConfig:     &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(1024)},
		TLSHandshakeTimeout: handshakeTimeout,
		// There is no ResponseHeaderTimeout: the request's context ends at the action's
		// own timeout, which covers the answer's header and body alike.
		MaxResponseHeaderBytes: maxAnswerHeader,
		// We keep 4 KiB of the answer as text. Not asking for gzip means that a small
		// answer cannot unpack into a large one.
		DisableCompression: true,

		HTTP2: &http.HTTP2Config{
			// The default window lets a receiver push 4 MiB per delivery at us before
			// we read any. The connection's share serves all of its streams.
			MaxReceiveBufferPerStream:     64 << 10,
			MaxReceiveBufferPerConnection: 1 << 20,
			// All deliveries to a host share few connections. A dead one must be
			// noticed, or it takes every delivery down with it until TCP gives up.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     10 * time.Second,
		},
	}
}
