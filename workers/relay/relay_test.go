package relay_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
	"github.com/minoots/minoots/workers/relay"
)

// The embedded server leaves some of its own behind when it is shut down.
func TestMain(m *testing.M) {
	const server = "github.com/nats-io/nats-server/v2/server"
	testdb.Main(m, goleak.IgnoreTopFunction(server+"/ats.Register.func1"), goleak.IgnoreTopFunction(server+".(*fileStore).flushStreamStateLoop"))
}

const (
	soon = 20 * time.Second // how long a test waits for what must come
	tick = 10 * time.Millisecond
)

// world is a database, and a NATS server that can be away.
type world struct {
	testing.TB
	db      *db.DB
	options *server.Options
	server  *server.Server
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t}
	var err error
	w.db, err = db.Connect(t.Context(), db.Config{URL: testdb.New(t).URL, Name: "test", MaxConns: 4, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(w.db.Close)
	for _, tenant := range []string{"acme", "globex"} {
		_, err := w.db.TenantCreate(t.Context(), tenant, "")
		require.NoError(t, err)
	}
	w.options = &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true}
	w.startNATS()
	w.options.Port = w.server.Addr().(*net.TCPAddr).Port // the same when it comes again
	t.Cleanup(func() { w.stopNATS() })
	return w
}

func (w *world) startNATS() {
	w.Helper()
	options := *w.options // the server changes them
	var err error
	w.server, err = server.NewServer(&options)
	require.NoError(w, err)
	w.server.Start()
	require.True(w, w.server.ReadyForConnections(soon))
}

func (w *world) stopNATS() {
	w.server.Shutdown()
	w.server.WaitForShutdown()
}

// stream gives a connection that comes again, as a replica's does.
func (w *world) stream() jetstream.JetStream {
	w.Helper()
	conn, err := nats.Connect(w.server.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectBufSize(-1))
	require.NoError(w, err)
	w.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(w, err)
	return js
}

// running is a relay at work.
type running struct {
	registry *prometheus.Registry
	stop     func()
}

func (w *world) relay() *running {
	w.Helper()
	r := &running{registry: prometheus.NewRegistry()}
	made, err := relay.New(relay.Config{DB: w.db, JetStream: w.stream(), Replica: "a", Registerer: r.registry, Log: slog.New(slog.DiscardHandler)})
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { _ = made.Run(ctx) })
	r.stop = func() { cancel(); wg.Wait() }
	w.Cleanup(r.stop)
	return r
}

// metric is a metric's value now.
func (r *running) metric(t testing.TB, name string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// lives makes timers of both tenants, some of which fire, so that each has several
// events.
func (w *world) lives(n int) {
	w.Helper()
	timers := make([]db.NewTimer, n)
	for i := range timers {
		at := minoots.InstantOf(time.Now().Add(-time.Second))
		timers[i] = db.NewTimer{ID: minoots.NewID(), TenantID: []string{"acme", "globex"}[i%2], Spec: minoots.TimerSpec{FireAt: &at}}
	}
	_, err := w.db.TimerCreate(w.Context(), timers)
	require.NoError(w, err)
	for fired := 0; fired < n; {
		got, err := w.db.TimerClaim(w.Context(), db.ClaimRequest{Limit: n}, func(context.Context, db.Tx, []db.Fired) (*db.JobBatch, error) { return nil, nil })
		require.NoError(w, err)
		fired += len(got)
	}
}

// log is all events there are, in order.
func (w *world) log() (all []minoots.Event) {
	w.Helper()
	after, err := w.db.EventOldest(w.Context())
	require.NoError(w, err)
	for more := true; more; {
		page, err := w.db.EventPage(w.Context(), db.EventRequest{After: after, Limit: 1000})
		require.NoError(w, err)
		for _, e := range page.Events {
			all = append(all, e.Event)
		}
		after, more = page.Next, page.More
	}
	return all
}

// published is what the stream has, in its order.
func (w *world) published() (all []minoots.Event, messages []*jetstream.RawStreamMsg) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), soon)
	defer cancel()
	stream, err := w.stream().Stream(ctx, relay.StreamName)
	if err != nil {
		return nil, nil
	}
	info, err := stream.Info(ctx)
	require.NoError(w, err)
	for seq := max(info.State.FirstSeq, 1); seq <= info.State.LastSeq; seq++ {
		msg, err := stream.GetMsg(ctx, seq)
		require.NoError(w, err)
		var e minoots.Event
		require.NoError(w, json.Unmarshal(msg.Data, &e))
		all, messages = append(all, e), append(messages, msg)
	}
	return all, messages
}

// wait waits until the stream has as many messages as the log has events.
func (w *world) wait() {
	w.Helper()
	want := uint64(len(w.log()))
	js := w.stream()
	require.Eventually(w, func() bool {
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		stream, err := js.Stream(ctx, relay.StreamName)
		return err == nil && stream.CachedInfo().State.Msgs >= want
	}, soon, tick)
}

// assertStory holds the stream to the log: every event once, and each timer's in
// order.
func (w *world) assertStory() {
	w.Helper()
	published, messages := w.published()
	byTimer := func(events []minoots.Event) map[minoots.ID][]string {
		m := map[minoots.ID][]string{}
		for _, e := range events {
			m[e.TimerID] = append(m[e.TimerID], e.ID+" "+string(e.Type))
		}
		return m
	}
	want := w.log()
	assert.Len(w, published, len(want), "the stream drops repeats")
	assert.Equal(w, byTimer(want), byTimer(published))
	for i, msg := range messages {
		assert.Equal(w, published[i].ID, msg.Header.Get(jetstream.MsgIDHeader))
		assert.Equal(w, "minoots."+published[i].TenantID+"."+string(published[i].Type), msg.Subject)
	}
}

func TestRelayPublishesTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lives(40) // before there is a relay, too
	r := w.relay()
	w.lives(40)
	w.wait()
	w.assertStory()
	require.Eventually(t, func() bool { return r.metric(t, "minoots_relay_events_total") == float64(len(w.log())) }, soon, tick)
	assert.Equal(t, 1.0, r.metric(t, "minoots_relay_active"))
	assert.Zero(t, r.metric(t, "minoots_relay_lag_seconds"))
}

func TestRelayWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	w.lives(10)
	w.wait()
	w.stopNATS()
	w.lives(30)
	require.Eventually(t, func() bool {
		return r.metric(t, "minoots_relay_failures_total") > 0 && r.metric(t, "minoots_relay_lag_seconds") > 0
	}, soon, tick, "the backlog can be seen")
	w.startNATS()
	w.wait()
	w.assertStory()
	require.Eventually(t, func() bool { return r.metric(t, "minoots_relay_lag_seconds") == 0 }, soon, tick)
}

// An operator's own stream is used as it is, and one that does not fit is told.
func TestRelayChecksTheStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	js := w.stream()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: relay.StreamName, Subjects: []string{"other"}})
	require.NoError(t, err)
	r := w.relay()
	w.lives(2)
	require.Eventually(t, func() bool { return r.metric(t, "minoots_relay_failures_total") > 0 }, soon, tick)
	published, _ := w.published()
	assert.Empty(t, published)
	_, err = js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: relay.StreamName, Subjects: []string{"minoots.>"}, MaxMsgs: 1000})
	require.NoError(t, err)
	w.wait()
	w.assertStory()
}
