package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/testdb"
)

// A replica hears which timers are over whether it has a kernel or not, by one
// connection; where it cannot, it serves all the same.
func TestReplicaListens(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	pooled := database.PgBouncer(t)
	for name, c := range map[string]struct {
		roles     config.Roles
		listen    string
		off       bool
		listening string
		conns     int
		says      string
	}{
		"with a kernel":    {roles: config.Roles{API: true, Kernel: true}, listening: "1", conns: 1},
		"without a kernel": {roles: config.Roles{API: true}, listening: "1", conns: 1},
		"off":              {roles: config.Roles{API: true}, off: true, listening: "0"},
		"a pooler":         {roles: config.Roles{API: true}, listen: pooled, listening: "0", says: "requests that wait for timers poll"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _, ops := testReplica(t, database.URL, c.roles)
			r.cfg.ListenURL, r.cfg.ListenOff = config.SecretOf(c.listen), c.off
			log := &book{}
			r.log = slog.New(slog.NewTextHandler(log, nil))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			select {
			case <-r.Ready():
			case err := <-ended:
				require.NoError(t, err)
			}
			require.Eventually(t, func() bool {
				_, metrics := get(t, ops+"/metrics")
				return strings.Contains(string(metrics), "\nminoots_wait_listening "+c.listening+"\n") && strings.Contains(log.String(), c.says)
			}, 30*time.Second, 20*time.Millisecond)
			if c.says == "" { // else it may be seen as it looks what it is connected to
				var conns int
				require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1",
					"minoots-listen-"+r.name).Scan(&conns))
				require.Equal(t, c.conns, conns)
			}
			status, body := get(t, ops+"/readyz")
			require.Equal(t, 200, status, "%s", body)
			cancel()
			require.NoError(t, <-ended)
		})
	}
}
