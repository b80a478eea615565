package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMakeDirSweepsAfterTheDead(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	child := exec.Command("true")
	require.NoError(t, child.Run())
	for name, pid := range map[string]string{
		"bench-dead": strconv.Itoa(child.Process.Pid), "bench-alive": strconv.Itoa(os.Getpid()), "bench-kept": "", "other": "",
	} {
		require.NoError(t, os.Mkdir(filepath.Join(parent, name), 0o755))
		if pid != "" {
			require.NoError(t, os.WriteFile(filepath.Join(parent, name, pidFile), []byte(pid), 0o644))
		}
	}
	dir, err := MakeDir(parent, "bench-")
	require.NoError(t, err)
	require.DirExists(t, dir)
	require.NoDirExists(t, filepath.Join(parent, "bench-dead"))
	for _, name := range []string{"bench-alive", "bench-kept", "other"} {
		require.DirExists(t, filepath.Join(parent, name))
	}
}
