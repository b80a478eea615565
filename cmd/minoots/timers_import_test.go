package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/api"
	"github.com/minoots/minoots/internal/testdb"
)

// importTarget is an API on a database of its own.
type importTarget struct {
	database *testdb.DB
	flags    []string
}

func newImportTarget(t *testing.T) *importTarget {
	t.Helper()
	database := testdb.New(t)
	d := withAcme(t, database.URL)
	secret, prefix, hash := minoots.NewCredential()
	_, err := d.KeyCreate(t.Context(), minoots.Key{ID: minoots.NewID(), TenantID: "acme", Prefix: prefix, Roles: []minoots.Role{minoots.RoleTenantAdmin}}, hash)
	require.NoError(t, err)
	a, err := api.New(api.Config{DB: d})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		assert.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return &importTarget{database, []string{"--url=http://" + l.Addr().String(), "--api-key=" + secret}}
}

func (to *importTarget) count(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, to.database.Pool.QueryRow(t.Context(), "SELECT count(*) FROM minoots.timers").Scan(&n))
	return n
}

func (to *importTarget) run(t *testing.T, in string, args ...string) (status int, sum importSummary, errOut string) {
	t.Helper()
	status, out, errOut := cli(t, in, append(append([]string{"timers", "import", "--json"}, args...), to.flags...)...)
	if status != exitMisuse {
		require.NoError(t, json.Unmarshal([]byte(out), &sum), "%s %s", out, errOut)
	}
	return status, sum, errOut
}

func ndjson(lines int) string {
	var all strings.Builder
	for i := range lines {
		fmt.Fprintf(&all, `{"name": "line-%d", "duration": "1h"}`+"\n", i)
	}
	return all.String()
}

// An import that is killed half-way and run again has made each timer once.
func TestImportIsKilledAndGoesOn(t *testing.T) {
	t.Parallel()
	to := newImportTarget(t)
	const lines = 3000
	file := filepath.Join(t.TempDir(), "timers.ndjson")
	require.NoError(t, os.WriteFile(file, []byte(ndjson(lines)), 0o600))
	program, err := os.Executable()
	require.NoError(t, err)
	for kills := range 3 {
		before := to.count(t)
		cmd := exec.CommandContext(t.Context(), program, append([]string{"timers", "import", file, "--batch=50", "--in-flight=2"}, to.flags...)...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool { return to.count(t) > before }, time.Minute, time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		require.ErrorContains(t, cmd.Wait(), "killed", "it had ended by itself, kill %d", kills)
	}
	left := to.count(t)
	require.Less(t, left, lines)
	status, sum, errOut := to.run(t, "", file)
	require.Equal(t, exitDone, status, errOut)
	assert.Equal(t, lines, sum.Created+sum.Already)
	assert.GreaterOrEqual(t, sum.Already, left)
	assert.Equal(t, lines, to.count(t))
	var names int
	require.NoError(t, to.database.Pool.QueryRow(t.Context(), "SELECT count(DISTINCT name) FROM minoots.timers").Scan(&names))
	assert.Equal(t, lines, names)
}

func TestImportInvalidLines(t *testing.T) {
	t.Parallel()
	to := newImportTarget(t)
	in := ndjson(5) + `{"duration": "-1h"}` + "\n\n" + `{"duration": "1h", "colour": 1}` + "\n{\n" + `{"duration": "1h", "idempotencyKey": "own"}` + "\n"
	status, sum, errOut := to.run(t, in, "-", "--as=x")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, errOut, "line 8", "the first that does not parse ends the reading")
	assert.Equal(t, 0, to.count(t), "nothing half done: %v", sum)

	status, sum, errOut = to.run(t, in, "-", "--as=x", "--skip-invalid")
	require.Equal(t, exitDone, status, errOut)
	assert.Equal(t, importSummary{Lines: 9, Created: 6, Invalid: 3}, importSummary{Lines: sum.Lines, Created: sum.Created, Invalid: sum.Invalid})
	for _, says := range []string{"line 6: duration must be from 1ms", "line 8: ", "line 9: "} {
		assert.Contains(t, errOut, says)
	}
	_, sum, _ = to.run(t, in, "-", "--as=x", "--skip-invalid")
	assert.Equal(t, 6, sum.Already, "again")
	_, sum, _ = to.run(t, in, "-", "--as=y", "--skip-invalid")
	assert.Equal(t, 5, sum.Created, "another import, but for the line with a key of its own")
	status, _, errOut = to.run(t, `{"duration": "2h", "idempotencyKey": "own"}`, "-", "--as=z")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, errOut, "line 1: was used for a different timer")
	assert.Equal(t, 11, to.count(t))
}

func TestManyFromTheCommandLine(t *testing.T) {
	t.Parallel()
	to := newImportTarget(t)
	_, sum, _ := to.run(t, ndjson(30), "-", "--as=x")
	require.Equal(t, 30, sum.Created)
	say := func(args ...string) string {
		status, out, errOut := cli(t, "", append(append([]string{"timers"}, args...), to.flags...)...)
		require.Equal(t, exitDone, status, errOut)
		return strings.TrimSpace(out)
	}
	assert.Equal(t, "11 timers would be cancelled", say("cancel", "--name-prefix=line-1", "--dry-run"))
	assert.Equal(t, "11 timers paused", say("pause", "--name-prefix=line-1"))
	assert.Equal(t, "11 timers resumed", say("resume", "--status=paused", "--policy=fire"))
	assert.Equal(t, "30 timers moved", say("reschedule", "--all", "--by=-30m"))
	assert.Equal(t, "30 timers cancelled", say("cancel", "--all", "--reason=over"))
	var timers []minoots.Timer
	require.NoError(t, json.Unmarshal([]byte(say("list", "--status=cancelled", "--limit=1", "--json")), &timers))
	status, out, errOut := cli(t, "", append([]string{"timers", "wait", timers[0].ID.String()}, to.flags...)...)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "cancelled")
	assert.Contains(t, errOut, "is cancelled")
	_, err := to.database.Pool.Exec(t.Context(), "UPDATE minoots.timer_states SET status = 'settled', settled_at = now() WHERE id = $1", timers[0].ID)
	require.NoError(t, err)
	assert.Contains(t, say("wait", timers[0].ID.String()), "settled")
	assert.Contains(t, say("replay", timers[0].ID.String(), "--in=10m"), "scheduled, due")
	status, _, errOut = cli(t, "", append([]string{"timers", "wait", timers[0].ID.String(), "--timeout=10ms"}, to.flags...)...)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, errOut, "was not over within 10ms")
	for _, args := range [][]string{{"cancel"}, {"cancel", "--dry-run"}, {"cancel", "--all", "--label=a=b"}, {"cancel", "--all", timers[0].ID.String()}, {"reschedule", "--by=1h"}} {
		status, _, errOut = cli(t, "", append(append([]string{"timers"}, args...), to.flags...)...)
		assert.Equal(t, exitMisuse, status, "%v %s", args, errOut)
	}
}
