package devpg

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStartKeepsDataAndPort(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), "pg")

	first := start(t, dir)
	assert.False(t, first.Attached())
	assert.Equal(t, "off 200 127.0.0.1", ask(t, first.URL("postgres"), `SELECT concat_ws(' ',
		current_setting('fsync'), current_setting('max_connections'), current_setting('listen_addresses'))`))

	ask(t, first.URL(""), "SELECT lo_from_bytea(4711, 'kept')::text")
	require.NoError(t, first.Stop())
	require.NoError(t, first.Stop(), "a second Stop does nothing")
	require.NoError(t, first.Wait())

	second := start(t, dir)
	assert.Equal(t, first.URL(""), second.URL(""), "the port is kept")
	assert.Equal(t, "kept", ask(t, second.URL(""), "SELECT convert_from(lo_get(4711), 'UTF8')"))

	require.NoError(t, second.Kill())
	require.NoError(t, second.Wait(), "an end that was asked for is no error")
	third := start(t, dir)
	assert.Equal(t, "kept", ask(t, third.URL(""), "SELECT convert_from(lo_get(4711), 'UTF8')"), "after a crash")

	require.NoError(t, third.Quit())
	require.NoError(t, third.Wait(), "an end that was asked for is no error")
	fourth := start(t, dir)
	assert.Equal(t, "kept", ask(t, fourth.URL(""), "SELECT convert_from(lo_get(4711), 'UTF8')"), "after an immediate shutdown")
}

func TestStartAttachesToALiveServer(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	first := start(t, dir)

	second := start(t, dir)
	assert.True(t, second.Attached())
	assert.Equal(t, first.URL(""), second.URL(""))
	require.NoError(t, second.Stop())
	waitDone(t, second)
	assert.Equal(t, "1", ask(t, first.URL(""), "SELECT '1'"), "Stop left the server alone")

	third := start(t, dir)
	require.NoError(t, first.Stop())
	waitDone(t, third)
}

func TestStartInTwoProcessesAtOnce(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	one, two := startHelper(t, self(t), dir), startHelper(t, self(t), dir)
	oneURL, oneAttached := one.ready(t)
	twoURL, twoAttached := two.ready(t)
	assert.Equal(t, oneURL, twoURL)
	assert.NotEqual(t, oneAttached, twoAttached, "one of them started it")
	if oneAttached {
		one, two = two, one
	}
	two.stop(t)
	one.stop(t)
}

func TestServerDiesWithItsParent(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child with its parent")
	}
	dir := openDir(t)
	parent := startHelper(t, self(t), dir)
	parent.ready(t)
	pid, _, err := readPidFile(filepath.Join(dir, "data", "postmaster.pid"))
	require.NoError(t, err)
	require.True(t, isPostmaster(pid, filepath.Join(dir, "data")))

	require.NoError(t, parent.cmd.Process.Kill())
	assert.Eventually(t, func() bool { return !isPostmaster(pid, filepath.Join(dir, "data")) },
		10*time.Second, 20*time.Millisecond)
}

func TestStartOverStalePidFile(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	require.NoError(t, start(t, dir).Stop())
	for name, content := range map[string]string{
		"a dead process":       "4194304\n", // above any process id
		"another program's id": strconv.Itoa(os.Getpid()) + "\n/elsewhere\n0\n1\n",
		"cut short":            "",
	} {
		file := filepath.Join(dir, "data", "postmaster.pid")
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644), name)
		server := start(t, dir)
		assert.False(t, server.Attached(), name)
		require.NoError(t, server.Stop(), name)
	}
}

func TestStartRemakesAnIncompleteCluster(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	interrupted := filepath.Join(dir, "data.init-1")
	require.NoError(t, os.Mkdir(interrupted, 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("15\n"), 0o600))

	server := start(t, dir)
	assert.Equal(t, "1", ask(t, server.URL(""), "SELECT '1'"))
	assert.NoDirExists(t, interrupted)
	assert.FileExists(t, filepath.Join(dir, "data.broken", "PG_VERSION"))
}

func TestStartTellsWhyTheServerDidNotStart(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{Dir: openDir(t), Settings: map[string]string{"shared_buffers": "none"}})
	require.Error(t, err)
	assert.Contains(t, err.Error(), `invalid value for parameter "shared_buffers"`)
	assert.NotContains(t, err.Error(), "\n")
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // in the midst of initdb
	defer cancel()
	dir := openDir(t)
	_, err := Start(ctx, Config{Dir: dir})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, "1", ask(t, start(t, dir).URL(""), "SELECT '1'"))
}

func TestStartAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	cmd, dir := asNobody(t)
	user := startHelper(t, cmd, filepath.Join(dir, "pg"))
	url, _ := user.ready(t)
	assert.Equal(t, "1", ask(t, url, "SELECT '1'"))
	user.stop(t)

	// Root goes on with that user's data, as `sudo make dev` would, and leaves
	// it to the user.
	require.NoError(t, start(t, filepath.Join(dir, "pg")).Stop())
	cmd, _ = asNobody(t)
	user = startHelper(t, cmd, filepath.Join(dir, "pg"))
	user.ready(t)
	user.stop(t)
}

func TestThrowawayLeavesNothing(t *testing.T) {
	t.Parallel()
	server, err := Throwaway(t.Context(), t.Output())
	require.NoError(t, err)
	assert.Equal(t, "1", ask(t, server.URL(""), "SELECT '1'"))
	require.NoError(t, server.Stop())
	assert.NoDirExists(t, server.home)
}
