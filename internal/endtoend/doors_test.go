package endtoend_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/minoots/minoots/client"
)

// failover stands where users have a load balancer: a request goes to a replica
// that takes connections.
type failover struct {
	base     *http.Transport
	hosts    []string
	each     bool // each request to the next replica; else all to one while it lives
	at       atomic.Int64
	answered func() // may be nil
}

// RoundTrip implements http.RoundTripper.
func (f *failover) RoundTrip(req *http.Request) (res *http.Response, err error) {
	first := f.at.Load()
	if f.each {
		first = f.at.Add(1)
	}
	for i := range int64(len(f.hosts)) {
		try := req.Clone(req.Context())
		if i > 0 && req.GetBody != nil {
			if try.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		try.URL.Host = f.hosts[(first+i)%int64(len(f.hosts))]
		res, err = f.base.RoundTrip(try)
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			continue // it has heard nothing of the request
		}
		if err == nil && !f.each {
			f.at.Store(first + i)
		}
		if err == nil && f.answered != nil {
			f.answered()
		}
		return res, err
	}
	return nil, err
}

// rest is a client of REST.
func (w *world) rest(hosts []string, each bool) (*client.Client, *failover) {
	w.Helper()
	transport := &failover{base: &http.Transport{}, hosts: hosts, each: each}
	w.Cleanup(transport.base.CloseIdleConnections)
	c, err := client.New("http://minoots.test", w.key, client.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(w, err)
	return c, transport
}

// dial is a connection of grpc-go's to all replicas, by one of its policies:
// pick_first stays with one while it lives, round_robin goes around.
func (w *world) dial(hosts []string, policy string) *grpc.ClientConn {
	w.Helper()
	known := manual.NewBuilderWithScheme("replicas")
	var state resolver.State
	for _, host := range hosts {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: host}}})
	}
	known.InitialState(state)
	conn, err := grpc.NewClient("replicas:///", grpc.WithResolvers(known), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"`+policy+`": {}}]}`))
	require.NoError(w, err)
	w.Cleanup(func() { _ = conn.Close() })
	return conn
}

// authorized carries the key, and pairs of metadata beside it.
func (w *world) authorized(ctx context.Context, pairs ...string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, append([]string{"authorization", "Bearer " + w.key}, pairs...)...)
}
