package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots/internal/config"
)

// replicaConfig is what a replica is made from.
type replicaConfig struct {
	config.Config
	Log *slog.Logger
	// HTTP and Ops are listeners that are open already; by default the
	// addresses of the configuration are opened.
	HTTP, Ops net.Listener
}

// replica is one running process of the service: the roles that it was given,
// and the servers around them. serve runs one; dev and demo run one in-process.
type replica struct {
	cfg      config.Config
	log      *slog.Logger
	name     string
	http     net.Listener // nil without the api role
	ops      net.Listener
	registry *prometheus.Registry
	handler  atomic.Pointer[http.Handler]
	health   health
	secrets  *secretsWatch
	ready    chan struct{} // closed when the roles run
}

// newReplica takes the addresses, so that one that is taken is an error at once.
func newReplica(ctx context.Context, cfg replicaConfig) (*replica, error) {
	r := &replica{
		cfg: cfg.Config, name: replicaName(), http: cfg.HTTP, ops: cfg.Ops,
		registry: newRegistry(), ready: make(chan struct{}),
	}
	r.log = cfg.Log.With("replica", r.name)
	r.secrets = newSecretsWatch(cfg.SecretsKeys, r.registry)
	r.health.phase = phaseStarting
	r.health.reason = "waiting for Postgres"
	var err error
	if r.http == nil && r.cfg.Roles.API {
		if r.http, err = listen(ctx, r.cfg.HTTPAddr, config.HTTPAddr); err != nil {
			return nil, err
		}
	}
	if r.ops == nil {
		if r.ops, err = listen(ctx, r.cfg.OpsAddr, config.OpsAddr); err != nil {
			return nil, errors.Join(err, closeListener(r.http))
		}
	}
	return r, nil
}

// replicaName is unique for each run of a process, and is never used again: what
// a dead process left behind must not look like this one's.
func replicaName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(b[:]))
}

// Ready is closed when the roles run.
func (r *replica) Ready() <-chan struct{} { return r.ready }

// Run serves until ctx is done or a part fails, then stops the parts in order
// and returns when they have ended. The order is that of the work: no new
// requests and no new claims, then the jobs under way to their end or the end of
// the grace, then the pools; operators may ask until the last.
func (r *replica) Run(ctx context.Context) error {
	ops := startHTTP("ops", r.ops, r.opsHandler(), r.log)
	defer ops.close()

	// The API's port answers from the start, with 503 until there is an API.
	var front *httpPart
	if r.http != nil {
		front = startHTTP("api", r.http, r, r.log)
		defer front.close()
	}
	pools, err := r.connect(ctx)
	if err != nil {
		pools.Close() // those that were opened
		if ctx.Err() != nil {
			return nil // asked to stop before it began
		}
		return err
	}
	defer pools.Close()
	parts, err := r.build(pools)
	if err != nil {
		return err
	}
	defer parts.close()
	return r.operate(ctx, parts, front)
}

// operate runs the parts until ctx is done or one fails, and stops them.
func (r *replica) operate(ctx context.Context, p *parts, front *httpPart) error {
	ended := make(chan *loop, len(p.loops()))
	for _, l := range p.loops() {
		l.start(context.WithoutCancel(ctx), ended)
	}
	r.health.set(phaseReady, "")
	close(r.ready)
	r.log.Info("replica runs", "roles", r.cfg.Roles.String(), "http", addrOf(r.http), "ops", addrOf(r.ops),
		"version", buildInfo().Version)

	var failed error
	select {
	case <-ctx.Done():
	case l := <-ended:
		failed = fmt.Errorf("the %s ended by itself: %w", l.name, l.cause())
	case failed = <-front.failed():
	}
	if failed != nil {
		r.health.fail(failed.Error())
		r.log.Error("replica fails", "error", failed)
	} else {
		r.health.set(phaseStopping, "asked to stop")
		r.log.Info("replica stops", "grace", r.cfg.ShutdownGrace.String())
	}
	began := time.Now()
	err := r.shutDown(p, front)
	r.log.Info("replica stopped", "took", time.Since(began).Round(time.Millisecond).String())
	return errors.Join(failed, err)
}

// stopMargin is what a part gets beyond the grace to notice that it is over: the
// workers need six seconds if all their connections stall.
const stopMargin = 7 * time.Second

// shutDown stops the parts in the order of Run. Requests under way and jobs
// under way end side by side, so that both have the whole grace.
func (r *replica) shutDown(p *parts, front *httpPart) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.ShutdownGrace)
	defer cancel()
	if p.leave != nil {
		p.leave()
	}
	requests := make(chan error, 1)
	go func() { requests <- front.drain(ctx) }()

	within := r.cfg.ShutdownGrace + stopMargin
	// Event streams never end by themselves: they are told first, so that the grace
	// is for the other requests.
	errs := []error{p.events.stop(stopMargin), p.relay.stop(stopMargin), p.subscriptions.stop(stopMargin), p.listener.stop(stopMargin), p.kernel.stop(within), p.workers.stop(within), <-requests}
	// The last requests may still have had something to announce.
	errs = append(errs, p.notifier.stop(stopMargin))
	return errors.Join(errs...)
}

func closeListener(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

func addrOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}
