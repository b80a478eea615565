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

// diskSize is room for a cluster, its log and the load, and soon filled.
const diskSize = "400M"

func needsTmpfs(Config) error {
	if _, err := exec.LookPath("mount"); err != nil || os.Geteuid() != 0 {
		return errors.New("only root can mount a small file system for Postgres")
	}
	return nil
}

// diskFull takes all space from Postgres for a while. Postgres itself may give
// up then: like an init system, we start it again as long as it takes.
func diskFull(ctx context.Context, w *world) error {
	dir, err := w.mountTmpfs(ctx)
	if err != nil {
		return err
	}
	small, err := w.h.startServer(ctx, filepath.Join(dir, "postgres"), map[string]string{
		"max_connections": "400", "max_wal_size": "64MB", "min_wal_size": "32MB", "shared_buffers": "64MB",
	})
	if small != nil {
		w.atEnd(func() { _ = small.close() })
	}
	if err != nil {
		return err
	}
	if err := w.db.drop(ctx); err != nil { // that on the usual server
		return err
	}
	if err := w.inhabit(ctx, small, template); err != nil {
		return err
	}
	if err := w.begin(ctx, kind{}, slowReceivers); err != nil {
		return err
	}
	ballast := filepath.Join(dir, "ballast")
	if err := fill(ballast); err != nil {
		return err
	}
	// At first tables cannot grow, then the log cannot either, and with that
	// Postgres ends.
	const half = 2500 * time.Millisecond
	tables, err := w.watchFull(ctx, ballast, half)
	if err != nil {
		return err
	}
	refusing := w.load.failed(unavailable) > 0
	for range 20 { // as many files of the log as it may have kept for later
		if _, err := one[string](ctx, w.db, "SELECT pg_switch_wal()::text"); err != nil {
			break
		}
	}
	log, err := w.watchFull(ctx, ballast, half)
	if err != nil {
		return err
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if w.over(small) {
		if err := small.again(ctx); err != nil {
			return err
		}
	}
	w.fault()
	w.db.pool.Reset()
	if _, err := w.settle(ctx); err != nil {
		return err
	}
	w.row.note("while tables could not grow: %v; while the log could not: %v", tables, log)
	w.row.must(tables[off] > 0 || !refusing, "readiness stayed on while tables could not grow")
	w.row.must(log[off] > 0, "readiness stayed on while Postgres was down")
	w.mustAnswerUnavailable()
	return nil
}

const off = "readiness off"

// watchFull keeps the disk full for so long and notes what can be seen from
// outside.
func (w *world) watchFull(ctx context.Context, ballast string, during time.Duration) (map[string]int, error) {
	saw := map[string]int{}
	for end := time.Now().Add(during); time.Now().Before(end); {
		if err := fill(ballast); err != nil { // a server that ends gives space back
			return nil, err
		}
		if w.over(w.server) {
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

func (w *world) over(s *server) bool {
	select {
	case <-s.own.Done():
		return true
	default:
		return false
	}
}

// mountTmpfs gives a directory with little room.
func (w *world) mountTmpfs(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "minoots-chaos-disk-")
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", "mode=0755,size="+diskSize, "tmpfs", dir).CombinedOutput()
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
