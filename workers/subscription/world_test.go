package subscription_test

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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/seal"
	"github.com/minoots/minoots/internal/testdb"
	"github.com/minoots/minoots/workers"
	"github.com/minoots/minoots/workers/action"
	"github.com/minoots/minoots/workers/subscription"
)

func TestMain(m *testing.M) { testdb.Main(m) }

const (
	soon = 60 * time.Second // how long a test waits for what must come
	tick = 20 * time.Millisecond

	token = "receivers-own-token" // what nobody is to see
)

// world is a database with two tenants, and a receiver.
type world struct {
	testing.TB
	*testdb.DB
	db       *db.DB
	receiver *receiver
	said     buffer // what workers log
}

// buffer is a log.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, DB: testdb.New(t)}
	w.db = w.connect(w.URL)
	for _, tenant := range []string{"acme", "globex"} {
		_, err := w.db.TenantCreate(t.Context(), tenant, "")
		require.NoError(t, err)
	}
	w.receiver = &receiver{status: http.StatusOK}
	w.receiver.server = httptest.NewServer(w.receiver)
	t.Cleanup(w.receiver.server.Close)
	return w
}

// connect connects as a replica with these operator's keys.
func (w *world) connect(url string, keys ...string) *db.DB {
	w.Helper()
	var ring *seal.Ring
	if len(keys) > 0 {
		var err error
		ring, err = seal.Parse(strings.Join(keys, ","))
		require.NoError(w, err)
	}
	d, err := db.Connect(w.Context(), db.Config{URL: url, Name: "test", MaxConns: 5, Keys: ring, Log: slog.New(slog.DiscardHandler)})
	require.NoError(w, err)
	w.Cleanup(d.Close)
	return d
}

// receiver keeps what it gets, and answers as it is told.
type receiver struct {
	server *httptest.Server
	mu     sync.Mutex
	status int
	got    []received
}

type received struct {
	header http.Header
	body   []byte
	event  minoots.Event
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	one := received{header: request.Header}
	one.body, _ = io.ReadAll(request.Body)
	_ = json.Unmarshal(one.body, &one.event)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, one)
	w.WriteHeader(r.status)
}

func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received{}, r.got...)
}

// ids are the events that came, however often.
func (r *receiver) ids() map[string]int {
	n := map[string]int{}
	for _, one := range r.all() {
		n[one.event.ID]++
	}
	return n
}

func (w *world) subscribe(tenant string, topics ...string) minoots.Subscription {
	w.Helper()
	return w.subscribeTo(w.receiver.server.URL, tenant, topics...)
}

func (w *world) subscribeTo(url, tenant string, topics ...string) minoots.Subscription {
	w.Helper()
	s, err := w.db.SubscriptionCreate(w.Context(), minoots.Subscription{
		ID: minoots.NewID(), TenantID: tenant, URL: url, Topics: topics, Headers: map[string]string{"X-Own": token},
		RetryPolicy: minoots.RetryPolicy{MaxAttempts: 3, BackoffInitialMs: 50, BackoffMultiplier: 1, BackoffMaxMs: 50},
	})
	require.NoError(w, err)
	return s
}

// schedule makes timers of both tenants in turn: an event each.
func (w *world) schedule(n int) {
	w.Helper()
	timers := make([]db.NewTimer, n)
	for i := range timers {
		at := minoots.InstantOf(time.Now().Add(time.Hour))
		timers[i] = db.NewTimer{ID: minoots.NewID(), TenantID: []string{"acme", "globex"}[i%2], Spec: minoots.TimerSpec{FireAt: &at}}
	}
	_, err := w.db.TimerCreate(w.Context(), timers)
	require.NoError(w, err)
}

// count asks the database.
func (w *world) count(sql string, args ...any) (n int) {
	w.Helper()
	require.NoError(w, w.Pool.QueryRow(context.Background(), sql, args...).Scan(&n), sql)
	return n
}

func (w *world) eventually(n int, sql string, args ...any) {
	w.Helper()
	require.Eventually(w, func() bool { return w.count(sql, args...) == n }, soon, tick, "%d of %s", n, sql)
}

func (w *world) deliveries(n int, s minoots.Subscription, status minoots.DeliveryStatus) {
	w.Helper()
	w.eventually(n, "SELECT count(*) FROM minoots.subscription_deliveries WHERE subscription_id = $1 AND status = $2", s.ID, status)
}

// work runs workers, with many places or with so many.
func (w *world) work(d *db.DB, s *subscription.Sender, places ...int) {
	w.Helper()
	places = append(places, 0)
	actions := action.NewRegistry(action.Config{Secrets: workers.NewSecrets(d), Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	made, err := workers.New(workers.Config{
		DB: d, Actions: actions, Replica: minoots.NewID().String(), Grace: time.Second, Concurrency: places[0],
		Log:     slog.New(slog.NewTextHandler(&w.said, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Breaker: workers.Breaker{Failures: 1000, Share: 1, Least: 1000}, Subscriptions: s.Subscribed,
	})
	require.NoError(w, err)
	w.run(made.Run)
	w.Cleanup(actions.Close)
}

// sender runs what makes deliveries.
func (w *world) sender(name string, d *db.DB) (*subscription.Sender, *prometheus.Registry) {
	w.Helper()
	registry := prometheus.NewRegistry()
	s, err := subscription.New(subscription.Config{DB: d, Replica: name, Registerer: registry, Log: slog.New(slog.DiscardHandler)})
	require.NoError(w, err)
	w.run(s.Run)
	return s, registry
}

func (w *world) run(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { _ = run(ctx) })
	w.Cleanup(func() { cancel(); wg.Wait() })
}

func active(t testing.TB, registry *prometheus.Registry) bool {
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "minoots_subscriptions_active" {
			return f.GetMetric()[0].GetGauge().GetValue() == 1
		}
	}
	t.Fatal("no metric")
	return false
}
