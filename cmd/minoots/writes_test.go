package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// A Postgres that answers and refuses writes, as a standby does: the replica is
// not ready, says why, and is again by itself.
func TestReplicaOnAReadOnlyPostgres(t *testing.T) {
	t.Parallel()
	s := startService(t)
	create := func() error {
		due := minoots.Duration(time.Hour)
		_, err := s.client.CreateTimer(t.Context(), minoots.TimerSpec{Duration: &due}, "")
		return err
	}
	require.NoError(t, create())
	set := func(sql string) {
		// In one session, that is older than the setting.
		_, err := s.database.Pool.Exec(t.Context(), "ALTER DATABASE "+s.database.Name+" "+sql)
		require.NoError(t, err)
		_, err = s.database.Pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name LIKE 'minoots-%'`)
		require.NoError(t, err)
	}
	readiness := func() (status int, answer readiness) {
		status, body := get(t, s.ops+"/readyz")
		require.NoError(t, json.Unmarshal(body, &answer))
		return status, answer
	}
	refused := func(want string) bool {
		_, metrics := get(t, s.ops+"/metrics")
		return strings.Contains(string(metrics), "\nminoots_writes_refused "+want+"\n")
	}
	require.True(t, refused("0"))
	_, err := s.database.Pool.Exec(t.Context(), "SELECT 1") // the pool has its session
	require.NoError(t, err)
	set("SET default_transaction_read_only = on")
	require.Eventually(t, func() bool {
		require.Error(t, create())
		status, answer := readiness()
		return status == http.StatusServiceUnavailable && answer.Writes == "refused" && strings.Contains(answer.Reason, "SQLSTATE 25006")
	}, 10*time.Second, 50*time.Millisecond)
	require.True(t, refused("1"))

	_, err = s.database.Pool.Exec(t.Context(), "SET default_transaction_read_only = off")
	require.NoError(t, err)
	set("RESET default_transaction_read_only")
	require.Eventually(t, func() bool {
		status, answer := readiness()
		return status == http.StatusOK && answer.Writes == "ok"
	}, 10*time.Second, 50*time.Millisecond, "nobody has written meanwhile")
	require.NoError(t, create())
	require.True(t, refused("0"))
}
