package db_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
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

// The figures of docs/sql.md. Eight connections; each call is a transaction, but
// for those of 100. The last one is what the API's write takes, to compare.
func BenchmarkScheduleSQL(b *testing.B) {
	database := testdb.New(b)
	d, err := db.Connect(b.Context(), db.Config{URL: database.URL, Name: "bench", MaxConns: 8})
	require.NoError(b, err)
	defer d.Close()
	_, err = database.Pool.Exec(b.Context(), "INSERT INTO minoots.tenants (id) VALUES ('acme')")
	require.NoError(b, err)
	one := strings.Replace(farSpec, "{", `{"name": "resume-research", "requestedBy": "agent:planner", "labels": {"session": "s-17"}, "metadata": {"step": 3}, `, 1)
	near := strings.Replace(one, `"1h"`, `"20s"`, 1)
	var spec minoots.TimerSpec
	require.NoError(b, json.Unmarshal([]byte(one), &spec))
	call := func(sql, spec string) func() error {
		return func() error { _, err := database.Pool.Exec(b.Context(), sql, spec); return err }
	}
	for _, c := range []struct {
		name  string
		calls int
		run   func() error
	}{
		{"far", 1, call("SELECT minoots.schedule('acme', $1)", one)},
		{"near", 1, call("SELECT minoots.schedule('acme', $1)", near)},
		{"100 in a transaction", 100, call("SELECT minoots.schedule('acme', $1) FROM generate_series(1, 100)", one)},
		{"only the check", 100, call("SELECT minoots.check_timer('acme', $1) FROM generate_series(1, 100)", one)},
		{"by TimerCreate", 1, func() error {
			_, err := d.TimerCreate(b.Context(), []db.NewTimer{{ID: minoots.NewID(), TenantID: "acme", Spec: spec.WithDefaults()}})
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetParallelism(4)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := c.run(); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N*c.calls)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
