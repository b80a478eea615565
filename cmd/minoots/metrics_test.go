package main

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/api"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/eventhub"
	"github.com/minoots/minoots/internal/natsconn"
	"github.com/minoots/minoots/internal/testdb"
	"github.com/minoots/minoots/kernel"
	"github.com/minoots/minoots/workers"
	"github.com/minoots/minoots/workers/action"
	"github.com/minoots/minoots/workers/relay"
	"github.com/minoots/minoots/workers/subscription"
)

// names is a Registerer that remembers what it was given.
type names struct {
	prometheus.Registerer
	found map[string]bool
}

var descName = regexp.MustCompile(`fqName: "(minoots_[a-z_]+)"`)

func (n *names) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc, 16)
	go func() { c.Describe(descs); close(descs) }()
	for d := range descs {
		if m := descName.FindStringSubmatch(d.String()); m != nil {
			n.found[m[1]] = true
		}
	}
	return n.Registerer.Register(c)
}

func (n *names) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := n.Register(c); err != nil {
			panic(err)
		}
	}
}

// TestMetricsAreDocumented compares the metrics of a replica with all roles to
// the table of docs/metrics.md, both ways.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	d := testdb.Connect(t, db.Config{URL: testdb.New(t).URL})

	n := &names{Registerer: prometheus.NewRegistry(), found: map[string]bool{}}
	actions := action.NewRegistry(action.Config{})
	w, err := workers.New(workers.Config{DB: d, Actions: actions, Replica: "metrics", Registerer: n})
	require.NoError(t, err)
	_, err = kernel.New(kernel.Config{DB: d, Planner: w, Registerer: n})
	require.NoError(t, err)
	_, err = api.New(api.Config{DB: d, Checks: minoots.Checks{Parameters: actions.Check}, Registerer: n})
	require.NoError(t, err)
	newSecretsWatch(nil, n)
	_, err = eventhub.New(eventhub.Config{DB: d, Registerer: n})
	require.NoError(t, err)
	(&oldestTransaction{ask: d.EventOldestTransaction}).register(n)
	_, err = subscription.New(subscription.Config{DB: d, Replica: "metrics", Registerer: n})
	require.NoError(t, err)
	newWrites(n, slog.New(slog.DiscardHandler))
	conn, err := natsconn.Open(natsconn.Config{URL: "nats://127.0.0.1:1", Registerer: n, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	_, err = relay.New(relay.Config{DB: d, JetStream: conn.JetStream(), Registerer: n})
	require.NoError(t, err)
	n.found["minoots_build_info"] = true // registered by newRegistry, which every replica uses

	page, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(minoots_[a-z_]+)`").FindAllSubmatch(page, -1) {
		documented = append(documented, string(m[1]))
	}
	var registered []string
	for name := range n.found {
		registered = append(registered, name)
	}
	slices.Sort(documented)
	slices.Sort(registered)
	require.Equal(t, documented, registered, "docs/metrics.md and the code must list the same metrics")
}
