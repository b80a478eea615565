package db_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/testdb"
)

// schedule() from SQL per second, each call a transaction of its own, by the
// number of connections that call at once: docs/sql.md.
func BenchmarkScheduleSQLConnections(b *testing.B) {
	database := testdb.New(b)
	_, err := database.Pool.Exec(b.Context(), "INSERT INTO minoots.tenants (id) VALUES ('acme')")
	require.NoError(b, err)
	spec := strings.Replace(farSpec, "{", `{"name": "resume-research", "requestedBy": "agent:planner", "labels": {"session": "s-17"}, "metadata": {"step": 3}, `, 1)
	for _, conns := range []int{1, 32} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) {
			all := make([]*pgx.Conn, conns)
			for i := range all {
				all[i], err = pgx.Connect(b.Context(), database.URL)
				require.NoError(b, err)
				defer func() { _ = all[i].Close(b.Context()) }()
				_, err = all[i].Exec(b.Context(), "SELECT minoots.schedule('acme', $1)", spec) // the first of a session compiles
				require.NoError(b, err)
			}
			calls := make(chan struct{})
			var wg sync.WaitGroup
			for _, conn := range all {
				wg.Go(func() {
					for range calls {
						if _, err := conn.Exec(b.Context(), "SELECT minoots.schedule('acme', $1)", spec); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ResetTimer()
			for range b.N {
				calls <- struct{}{}
			}
			close(calls)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
