package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/testdb"
)

// psql runs a script as a user would. Where there is no psql, which comes apart
// from the server, the text goes to Postgres in one piece, as psql -c sends it.
func psql(t *testing.T, url, script string) {
	t.Helper()
	if path, err := exec.LookPath("psql"); err == nil {
		out, err := exec.CommandContext(t.Context(), path, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname="+url, "--command="+script).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), script, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
}

// The whole way: what a transaction that is taken back has scheduled never fires;
// what one that commits has scheduled, or moved, is received, on time.
func TestScheduleFromPsql(t *testing.T) {
	t.Parallel()
	type delivery struct {
		name string
		at   time.Time
	}
	received := make(chan delivery, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		received <- delivery{strings.Trim(r.URL.Path, "/"), time.Now()}
	}))
	defer receiver.Close()
	database := testdb.New(t)
	status, _, errOut := cli(t, "", "tenants", "create", "acme", "--database-url="+database.URL)
	require.Zero(t, status, errOut)
	runReplica(t, config.Config{
		DatabaseURL: config.SecretOf(database.URL), Roles: config.Roles{Kernel: true, Worker: true}, WebhookAllowCIDRs: loopback,
	}, slog.DiscardHandler)

	when := func(name, when string) string {
		return fmt.Sprintf(`SELECT minoots.schedule('acme', '{"name": "%s", %s,
			"actionBundle": {"actions": [{"id": "a", "kind": "webhook", "parameters": {"url": "%s/%[1]s"}}]}}')`, name, when, receiver.URL)
	}
	schedule := func(name, duration string) string { return when(name, `"duration": "`+duration+`"`) }
	const move = `SELECT minoots.reschedule('acme', id, '{"duration": "%s"}') FROM minoots.timers WHERE name = '%s'`
	arrives := func(name string) {
		t.Helper()
		select {
		case got := <-received:
			require.Equal(t, name, got.name, "and nothing else")
			var due time.Time
			require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT s.fire_at FROM minoots.timers JOIN minoots.timer_states s USING (id) WHERE name = $1", name).Scan(&due))
			assert.False(t, got.at.Before(due), "never early")
			assert.Less(t, got.at.Sub(due), 5*time.Second, "woken, and not found by the next sweep")
		case <-time.After(time.Minute):
			t.Fatalf("%s has not arrived", name)
		}
	}
	psql(t, database.URL, "BEGIN; CREATE TABLE orders (timer uuid); "+schedule("taken-back", "100ms")+"; ROLLBACK")
	psql(t, database.URL, "BEGIN; CREATE TABLE orders (timer uuid); INSERT INTO orders "+schedule("committed", "1s")+"; COMMIT")
	arrives("committed")

	psql(t, database.URL, schedule("moved", "1h"))
	psql(t, database.URL, "BEGIN; "+fmt.Sprintf(move, "100ms", "moved")+"; ROLLBACK")
	psql(t, database.URL, schedule("between", "500ms"))
	arrives("between")
	psql(t, database.URL, fmt.Sprintf(move, "500ms", "moved"))
	arrives("moved")

	psql(t, database.URL, when("every", `"recurrence": {"every": "1s", "maxOccurrences": 1}`))
	arrives("every")
	psql(t, database.URL, when("cron", `"recurrence": {"cron": "*/2 * * * * *", "timeZone": "Europe/Paris", "maxOccurrences": 1}`))
	arrives("cron")
}
