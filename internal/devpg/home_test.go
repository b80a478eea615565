package devpg

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpenHomeBelowAClosedDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as somebody else")
	}
	closed := openDir(t)
	require.NoError(t, os.Chmod(closed, 0o700))
	wanted := filepath.Join(closed, "repo", ".minoots")

	var log bytes.Buffer
	h, err := openHome(wanted, &log)
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(h.dir) })
	assert.Equal(t, fallbackDir(wanted), h.dir)
	assert.Contains(t, log.String(), h.dir, "it is said")

	again, err := openHome(wanted, &log)
	require.NoError(t, err)
	assert.Equal(t, h.dir, again.dir, "the same wish, the same place")

	require.NoError(t, os.Remove(h.dir))
	require.NoError(t, os.Symlink(closed, h.dir))
	_, err = openHome(wanted, &log)
	require.ErrorContains(t, err, "not a directory of root's")
}

func TestWithDatabase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dsn, database, want string }{
		{"postgres://u:p%40@h:1/a?sslmode=disable", "b", "postgres://u:p%40@h:1/b?sslmode=disable"},
		{"postgres://h/a", "", "postgres://h/a"},
		{"host=h dbname=a", "it's", `host=h dbname=a dbname='it\'s'`},
	} {
		assert.Equal(t, c.want, withDatabase(c.dsn, c.database))
	}
}

func TestLocateUsesTheNamedServer(t *testing.T) {
	t.Setenv("DEVPG_A", "")
	t.Setenv("DEVPG_B", "postgres://u@h:1/app")
	server, err := Locate(t.Context(), Config{}, "DEVPG_A", "DEVPG_B")
	require.NoError(t, err)
	assert.True(t, server.Attached())
	assert.Equal(t, "postgres://u@h:1/app", server.URL(""))
	assert.Equal(t, "postgres://u@h:1/x", server.URL("x"))
	require.NoError(t, server.Kill())
	require.NoError(t, server.Stop())
	waitDone(t, server)

	t.Setenv("DEVPG_A", "postgres://u:secret@h:port/")
	_, err = Locate(t.Context(), Config{}, "DEVPG_A")
	require.ErrorContains(t, err, "read DEVPG_A")
	assert.NotContains(t, err.Error(), "secret")
}
