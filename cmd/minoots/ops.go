package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/kernel"
)

// The phases of a replica's life.
const (
	phaseStarting = "starting"
	phaseReady    = "ready"
	phaseStopping = "stopping"
	phaseFailed   = "failed"
)

// probeTimeout is how long a readiness check waits for Postgres: shorter than
// the probes' usual patience, so that the answer says why.
const probeTimeout = 2 * time.Second

// pinger is what readiness asks of a database.
type pinger interface {
	Ping(ctx context.Context) error
	MigrationsPending(ctx context.Context) (bool, error)
	WritesRefused(ctx context.Context) error
}

var _ pinger = (*db.DB)(nil)

// health is what is known of a replica's state.
type health struct {
	mu       sync.Mutex
	phase    string
	reason   string
	database pinger               // nil until connected
	kernel   func() kernel.Status // nil without the role
	listener bool                 // the kernel should be listening
	oldest   *oldestTransaction   // nil without the api role
}

func (h *health) set(phase, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase != phaseFailed {
		h.phase, h.reason = phase, reason
	}
}

// fail is for good: the process is about to end.
func (h *health) fail(reason string) { h.set(phaseFailed, reason) }

func (h *health) watch(d pinger) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.database = d
}

func (h *health) listens(status func() kernel.Status, wanted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kernel, h.listener = status, wanted
}

// readiness is the answer of /readyz.
type readiness struct {
	Status     string         `json:"status"` // ready, degraded, starting, stopping, failed or unavailable
	Reason     string         `json:"reason,omitempty"`
	Replica    string         `json:"replica"`
	Version    string         `json:"version"`
	Roles      []string       `json:"roles"`
	Database   string         `json:"database"`   // ok, away or unknown
	Writes     string         `json:"writes"`     // ok, refused or unknown
	Migrations string         `json:"migrations"` // ok, pending or unknown
	Listener   string         `json:"listener"`   // on, lost or off
	Secrets    string         `json:"secrets"`    // sealed, plain, mixed, locked or unknown
	Kernel     *kernel.Status `json:"kernel,omitempty"`
	// OldestTransaction is in seconds; what a long one has written, events too, is
	// not to be seen before it ends.
	OldestTransaction *float64 `json:"oldestTransactionSeconds,omitempty"`
}

// ok tells whether traffic may come. A lost listener costs punctuality, of at
// most a poll interval, and is no reason to send the traffic elsewhere.
func (r readiness) ok() bool { return r.Status == phaseReady || r.Status == "degraded" }

// check finds out how the replica stands.
func (h *health) check(ctx context.Context) readiness {
	h.mu.Lock()
	r := readiness{Status: h.phase, Reason: h.reason, Database: "unknown", Writes: "unknown", Migrations: "unknown", Listener: "off"}
	database, status, listener := h.database, h.kernel, h.listener
	h.mu.Unlock()

	var refused error
	if database != nil {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		if r.Database, r.Migrations = checkDatabase(ctx, database); r.Database == "ok" {
			r.Writes = "ok"
			if refused = database.WritesRefused(ctx); refused != nil {
				r.Writes = "refused"
			}
			r.OldestTransaction = h.oldestSeconds(ctx)
		}
	}
	if status != nil {
		s := status()
		r.Kernel = &s
		switch {
		case s.Listening:
			r.Listener = "on"
		case listener:
			r.Listener = "lost"
		}
	}
	if r.Status != phaseReady {
		return r
	}
	switch {
	case r.Database != "ok":
		r.Status, r.Reason = "unavailable", "Postgres does not answer"
	case r.Migrations != "ok":
		r.Status, r.Reason = "unavailable", "migrations are pending: run minoots migrate up"
	case refused != nil:
		r.Status, r.Reason = "unavailable", "Postgres refuses writes: "+refused.Error()
	case r.Listener == "lost":
		r.Status, r.Reason = "degraded", "no LISTEN connection: timers are found by polling"
	case r.Kernel != nil && stale(*r.Kernel):
		r.Status, r.Reason = "degraded", "the kernel has not looked for due timers since "+r.Kernel.LastLook.UTC().Format(time.RFC3339)
	}
	return r
}

// lookEvery is far longer than a kernel that works leaves between two looks.
const lookEvery = 30 * time.Second

func stale(s kernel.Status) bool {
	return s.LastLook.Unix() > 0 && time.Since(s.LastLook) > lookEvery // 1970 is before the first
}

func checkDatabase(ctx context.Context, d pinger) (database, migrations string) {
	if err := d.Ping(ctx); err != nil {
		return "away", "unknown"
	}
	switch pending, err := d.MigrationsPending(ctx); {
	case pending:
		return "ok", "pending"
	case err != nil:
		return "ok", "unknown"
	default:
		return "ok", "ok"
	}
}

// opsHandler serves what operators ask. It has no credential and tells nothing
// of tenants or timers.
func (r *replica) opsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		r.health.mu.Lock()
		phase, reason := r.health.phase, r.health.reason
		r.health.mu.Unlock()
		if phase == phaseFailed {
			http.Error(w, reason, http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, req *http.Request) {
		answer := r.health.check(req.Context())
		answer.Replica, answer.Version, answer.Roles = r.name, buildInfo().Version, r.cfg.Roles.Names()
		if answer.Secrets = secretsUnknown; answer.Database == "ok" {
			answer.Secrets = r.secrets.check(req.Context())
		}
		if answer.Secrets == secretsLocked && answer.Status == phaseReady {
			answer.Status, answer.Reason = "degraded", "some signing secrets are sealed with a key that is not here: their tenants' deliveries fail"
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !answer.ok() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	return mux
}

// newRegistry has what is known of any process; the parts add their own.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	b := buildInfo()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "minoots_build_info", Help: "Always 1; the labels say which build this is.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "go": b.Go},
	})
	info.Set(1)
	registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
