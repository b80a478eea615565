package devpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const throwawayPrefix = "minoots-throwaway-"

// Throwaway starts a server that does not sync to disk, in a temporary
// directory that Stop removes. It also removes such directories of runs that
// did not get to it.
//
// The directory is in memory where there is plenty and TMPDIR does not say
// otherwise: a database is some 300 files, and to copy one for a test took 50 ms
// there against 220 ms on the disk of the machine this was measured on.
func Throwaway(ctx context.Context, log io.Writer) (*Server, error) {
	sweep(time.Now().Add(-time.Hour))
	dir, err := os.MkdirTemp(throwawayParent(), throwawayPrefix)
	if err != nil {
		return nil, fmt.Errorf("start a throw-away server: %w", err)
	}
	server, err := Start(ctx, Config{Dir: dir, Log: log, Settings: map[string]string{
		"max_wal_size": "256MB", // the log is the largest thing in there, and recycled early costs nothing
	}})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	server.discard = true
	return server, nil
}

// throwawayParent wants several gigabytes free in memory, since as many servers
// as packages under test may be at work.
func throwawayParent() string {
	const plenty = 4 << 30 // bytes
	if os.Getenv("TMPDIR") == "" && memoryFree() >= plenty {
		return memoryDir
	}
	return os.TempDir()
}

// sweep removes the directories of dead throw-away servers that were made
// before the given time. It is a courtesy: what it may not remove, it leaves.
func sweep(before time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(throwawayParent(), throwawayPrefix+"*"))
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || info.ModTime().After(before) {
			continue
		}
		pid, _, err := readPidFile(filepath.Join(dir, "data", "postmaster.pid"))
		if err == nil && alive(pid) || errors.Is(err, os.ErrPermission) {
			continue
		}
		_ = os.RemoveAll(dir)
	}
}
