package rig

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// pidFile names the process that a directory belongs to. One that was kept has
// none.
const pidFile = "pid"

// MakeDir makes the directory of a run, and removes those of runs with the same
// prefix that were killed: each may hold gigabytes.
func MakeDir(parent, prefix string) (string, error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	sweep(parent, prefix)
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, pidFile), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return "", err
	}
	// Root's Postgres runs as somebody else, who must be able to pass.
	return dir, os.Chmod(dir, 0o711)
}

// KeepDir leaves the directory to whoever wants to look at it.
func KeepDir(dir string) error { return os.Remove(filepath.Join(dir, pidFile)) }

// sweep is a courtesy: what it may not remove, it leaves.
func sweep(parent, prefix string) {
	files, _ := filepath.Glob(filepath.Join(parent, prefix+"*", pidFile))
	for _, file := range files {
		text, err := os.ReadFile(file)
		pid, bad := strconv.Atoi(strings.TrimSpace(string(text)))
		if err == nil && bad == nil && pid > 0 && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(filepath.Dir(file))
		}
	}
}
