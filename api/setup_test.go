package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/api"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/cron"
	"github.com/minoots/minoots/internal/testdb"
	"github.com/minoots/minoots/workers"
	"github.com/minoots/minoots/workers/action"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// bundle is an API on a database of its own, with two tenants.
type bundle struct {
	t        testing.TB
	api      *api.API
	handler  http.Handler
	db       *db.DB
	pool     *pgxpool.Pool // to look behind the API
	registry *prometheus.Registry
	hints    *hints
	log      *bytes.Buffer // read it when the requests are over

	admin, operator, other string // keys: of acme, of acme, and of globex
}

func setup(t testing.TB) *bundle {
	t.Helper()
	database := testdb.New(t)
	b := &bundle{
		t: t, pool: database.Pool, registry: prometheus.NewRegistry(), hints: new(hints), log: new(bytes.Buffer),
	}
	var err error
	b.db, err = db.Connect(t.Context(), db.Config{URL: database.URL, Name: "api-test"})
	require.NoError(t, err)
	t.Cleanup(b.db.Close)
	actions := action.NewRegistry(action.Config{Secrets: workers.NewSecrets(b.db), Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	t.Cleanup(actions.Close)
	b.api, err = api.New(api.Config{
		Deliver: actions.Execute,
		DB:      b.db, Hinter: b.hints, Checks: minoots.Checks{Parameters: checkParameters, Recurrence: cron.CheckTimer}, Registerer: b.registry,
		Follow: follower{}, Judge: func(_ *minoots.Delivery, attempt int, out *minoots.Outcome) (bool, time.Duration) {
			return out.Success || !out.Retryable || attempt >= 2, time.Hour
		},
		Log: slog.New(slog.NewTextHandler(&locked{w: b.log}, nil)),
	})
	require.NoError(t, err)
	b.handler = b.api.Handler()
	for _, tenant := range []string{"acme", "globex"} {
		_, err := b.db.TenantCreate(t.Context(), tenant, "")
		require.NoError(t, err)
	}
	b.admin = b.key("acme", minoots.RoleTenantAdmin)
	b.operator = b.key("acme", minoots.RoleOperator, minoots.RoleTenantAdmin)
	b.other = b.key("globex", minoots.RoleTenantAdmin)
	return b
}

// in gives the bundle to a test within.
func (b bundle) in(t *testing.T) *bundle {
	b.t = t
	return &b
}

// key makes a key behind the API.
func (b *bundle) key(tenant string, roles ...minoots.Role) string {
	b.t.Helper()
	secret, prefix, hash := minoots.NewCredential()
	_, err := b.db.KeyCreate(b.t.Context(), minoots.Key{ID: minoots.NewID(), TenantID: tenant, Prefix: prefix, Roles: roles}, hash)
	require.NoError(b.t, err)
	return secret
}

// call makes a request as acme's admin. Headers come in pairs, and win.
func (b *bundle) call(method, path, body string, headers ...string) *answer {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("X-Api-Key", b.admin)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	return b.do(r)
}

func (b *bundle) do(r *http.Request) *answer {
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return &answer{t: b.t, Response: w.Result(), body: w.Body.Bytes(), asked: r.Method + " " + r.URL.String()}
}

// count counts rows behind the API.
func (b *bundle) count(table string) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.pool.QueryRow(b.t.Context(), "SELECT count(*) FROM minoots."+table).Scan(&n))
	return n
}

// create makes a timer and gives it.
func (b *bundle) create(body string, headers ...string) minoots.Timer {
	b.t.Helper()
	var timer minoots.Timer
	b.call("POST", "/v1/timers", body, headers...).is(http.StatusCreated).into(&timer)
	return timer
}

type answer struct {
	*http.Response
	t     testing.TB
	asked string
	body  []byte
}

func (a *answer) is(status int) *answer {
	a.t.Helper()
	require.Equal(a.t, status, a.StatusCode, "%s: %s", a.asked, a.body)
	return a
}

func (a *answer) into(v any) {
	a.t.Helper()
	require.NoError(a.t, json.Unmarshal(a.body, v), "%s", a.body)
}

// problem holds what every error answer must have.
func (a *answer) problem() api.Problem {
	a.t.Helper()
	var p api.Problem
	require.Equal(a.t, "application/problem+json", a.Header.Get("Content-Type"), "%s: %s", a.asked, a.body)
	a.into(&p)
	require.Equal(a.t, a.StatusCode, p.Status)
	require.Equal(a.t, "urn:minoots:problem:"+string(p.Code), p.Type)
	require.Equal(a.t, a.Header.Get("X-Request-Id"), p.RequestID)
	require.NotEmpty(a.t, p.RequestID)
	require.NotEmpty(a.t, p.Title)
	require.NotEmpty(a.t, p.Detail)
	return p
}

// checkParameters stands for the executors' checks.
func checkParameters(kind minoots.ActionKind, parameters json.RawMessage, _ *minoots.AgentBinding) []minoots.FieldError {
	var p struct{ URL string }
	if kind != minoots.KindWebhook {
		return []minoots.FieldError{{Path: "kind", Message: "is not available in this version"}}
	}
	if json.Unmarshal(parameters, &p) != nil || !strings.HasPrefix(p.URL, "http") {
		return []minoots.FieldError{{Path: "parameters.url", Message: "must be an http or https URL"}}
	}
	return nil
}

// follower puts what follows into the queues.
type follower struct{}

func (follower) Plan(_ context.Context, deliveries []minoots.Delivery) (*db.JobBatch, error) {
	jobs := &db.JobBatch{}
	for i := range deliveries {
		args, err := json.Marshal(&deliveries[i])
		if err != nil {
			return nil, err
		}
		jobs.Jobs = append(jobs.Jobs, db.Job{Queue: string(deliveries[i].Action.Kind), MaxAttempts: 2, Args: args})
	}
	return jobs, nil
}

// hints remembers what the kernel would have been told.
type hints struct {
	mu    sync.Mutex
	dueAt []time.Time
}

func (h *hints) Hint(dueAt time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dueAt = append(h.dueAt, dueAt)
}

func (h *hints) take() []time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := h.dueAt
	h.dueAt = nil
	return taken
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
