package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// Room for a cluster with its log, for the tables of the load, and soon filled.
const (
	logSize    = "400M"
	tablesSize = "100M"
)

func needsTmpfs(Config) error {
	if _, err := exec.LookPath("mount"); err != nil || os.Geteuid() != 0 {
		return errors.New("only root can mount a small file system for Postgres")
	}
	return nil
}

// diskFull takes all space first from the tables, then from the log. Postgres
// itself gives up then: like an init system, we start it again as long as it takes.
func diskFull(ctx context.Context, w *world) error {
	logDir, tablesDir, err := w.smallServer(ctx)
	if err != nil {
		return err
	}
	if err := w.begin(ctx, kind{}, slowReceivers); err != nil {
		return err
	}
	const each = 2500 * time.Millisecond
	tables, err := w.whileFull(ctx, tablesDir, each)
	if err != nil {
		return err
	}
	refused := w.load.failed(unavailable)
	spaceAt := w.fault()
	if err := w.untilReady(ctx); err != nil {
		return err
	}
	onAgain := time.Since(spaceAt)
	log, err := w.whileFull(ctx, logDir, each)
	if err != nil {
		return err
	}
	if w.server.down() {
		if err := w.server.again(ctx); err != nil {
			return err
		}
	}
	w.fault()
	w.db.pool.Reset()
	if _, err := w.settle(ctx); err != nil {
		return err
	}
	w.row.note("while tables could not grow: %v, %d requests 503; while the log could not: %v", tables, refused, log)
	w.row.note("ready again %s after there was space for tables", onAgain.Round(time.Millisecond))
	w.row.must(onAgain <= readyAgain, "readiness came back only %s after there was space for tables", onAgain.Round(time.Millisecond))
	w.row.must(refused > 0, "no request failed while tables could not grow")
	w.row.must(tables[off] > 0, "readiness stayed on while tables could not grow")
	w.row.must(log[off] > 0, "readiness stayed on while the log could not grow")
	w.mustAnswerUnavailable()
	return nil
}

// smallServer starts a server with little room, and moves the scenario there.
func (w *world) smallServer(ctx context.Context) (logDir, tablesDir string, err error) {
	if logDir, err = w.mountTmpfs(ctx, logSize); err != nil {
		return "", "", err
	}
	if tablesDir, err = w.mountTmpfs(ctx, tablesSize); err != nil {
		return "", "", err
	}
	small, err := w.h.startServer(ctx, filepath.Join(logDir, "postgres"), map[string]string{
		"max_connections": "400", "max_wal_size": "64MB", "min_wal_size": "32MB", "shared_buffers": "64MB",
	})
	if small != nil {
		w.atEnd(func() { _ = small.close() })
	}
	if err == nil {
		err = small.addTablespace(ctx, tablesDir)
	}
	if err == nil {
		err = w.db.drop(ctx) // that on the usual server
	}
	if err == nil {
		err = w.inhabit(ctx, small, template)
	}
	return logDir, tablesDir, err
}

// readyAgain is how soon after its return space is noticed: writes that have failed
// are tried again each second, and so is a probe.
const readyAgain = 3 * time.Second

// untilReady waits until all replicas are, for longer than they should take.
func (w *world) untilReady(ctx context.Context) error {
	return rig.Until(ctx, 100*time.Millisecond, 5*readyAgain, "the replicas are ready again", func() (bool, error) {
		for _, m := range w.live() {
			if _, ready := m.Readiness(ctx); !ready {
				return false, nil
			}
		}
		return true, nil
	})
}

const off = "readiness off"

// whileFull keeps a disk full for so long and notes what can be seen from outside.
func (w *world) whileFull(ctx context.Context, dir string, during time.Duration) (map[string]int, error) {
	ballast := filepath.Join(dir, "ballast")
	defer func() { _ = os.Remove(ballast) }()
	saw := map[string]int{}
	for end := time.Now().Add(during); time.Now().Before(end); {
		if err := fill(ballast); err != nil { // a server that ends gives space back
			return nil, err
		}
		// As many files of the log as it may have kept for later.
		_, _ = one[string](ctx, w.db, "SELECT pg_switch_wal()::text")
		if w.server.down() {
			saw["the server ended"]++
			_ = w.server.again(ctx) // it cannot, as long as there is no space
		}
		for _, m := range w.live() {
			if said, ready := m.Readiness(ctx); !ready {
				saw[off]++
				saw[said.Reason]++
			}
		}
		if err := rig.Pause(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return saw, nil
}

// down tells whether the server has ended.
func (s *server) down() bool {
	select {
	case <-s.own.Done():
		return true
	default:
		return false
	}
}

// mountTmpfs gives a directory with little room.
func (w *world) mountTmpfs(ctx context.Context, size string) (string, error) {
	dir, err := os.MkdirTemp("", "minoots-chaos-disk-")
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", "mode=0755,size="+size, "tmpfs", dir).CombinedOutput()
	if err != nil {
		return "", errors.Join(fmt.Errorf("mount a small file system: %w: %s", err, out), os.Remove(dir))
	}
	w.atEnd(func() {
		_ = exec.Command("umount", "-l", dir).Run() //nolint:noctx // the end of the scenario may be that of ctx
		_ = os.Remove(dir)
	})
	return dir, os.Chmod(dir, 0o755)
}

// fill writes to a file until there is no space left.
func fill(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; { // what does not fit is tried in smaller pieces
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 16
		}
	}
	return nil
}
