package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// madeBy answers which major version made the cluster; 0 if there is none, or
// one without the two files that no server starts without.
func (h home) madeBy() (int, error) {
	_, err := os.Stat(filepath.Join(h.data(), "global", "pg_control"))
	var text []byte
	if err == nil {
		text, err = os.ReadFile(filepath.Join(h.data(), "PG_VERSION"))
	}
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil { // somebody else's: not to be taken for incomplete
		return 0, fmt.Errorf("open the database cluster: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("open the database cluster: read its version: %w", err)
	}
	return major, nil
}

// binariesFor finds the binaries that can open the cluster, or any if there is
// no cluster yet, in which case it gets some when there are none.
func (h home) binariesFor(ctx context.Context, major int) (Binaries, error) {
	search := machine(h.who)
	found, err := search.find(ctx, major)
	if err == nil || !errors.Is(err, ErrNotFound) {
		return found, err
	}
	if major != 0 {
		return Binaries{}, fmt.Errorf("open %s: %w; install that version, or remove the directory to begin anew", h.data(), err)
	}
	return getter{lookups: search, who: h.who, log: h.log, root: os.Geteuid() == 0}.get(ctx)
}

// makeCluster runs initdb in a directory of another name and renames it when
// complete, so that an interrupted one is never taken for a cluster. The caller
// holds the lock: whatever else lies here is nobody's.
func (h home) makeCluster(ctx context.Context, bin Binaries, durable bool) error {
	if err := h.clear(); err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}
	say(h.log, "making a database cluster in %s (PostgreSQL %d)", h.data(), bin.Major)

	// One locale for all machines, so that text sorts alike on each of them.
	err := h.initdb(ctx, bin, durable, "C.UTF-8")
	if err != nil && strings.Contains(err.Error(), "invalid locale") {
		err = h.initdb(ctx, bin, durable, "C")
	}
	return err
}

func (h home) initdb(ctx context.Context, bin Binaries, durable bool, locale string) error {
	dir, err := os.MkdirTemp(h.dir, "data.init-")
	if err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // gone already if all went well
	if err := h.who.own(dir); err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}

	args := []string{"-D", dir, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=" + locale, "--no-instructions"}
	if !durable {
		args = append(args, "--no-sync")
	}
	cmd := h.who.command(ctx, bin.path("initdb"), args...)
	cmd.WaitDelay = 5 * time.Second // for initdb's children, if ctx has it killed
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("make a database cluster: %w", context.Cause(ctx))
		}
		return fmt.Errorf("make a database cluster: initdb: %w: %s", err, lastLines(out))
	}
	if err := os.Rename(dir, h.data()); err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}
	return nil
}

// clear removes what interrupted runs of initdb have left. A data directory
// that is no cluster did not come from here; it is moved aside, not removed.
func (h home) clear() error {
	leftovers, err := filepath.Glob(filepath.Join(h.dir, "data.init-*"))
	if err != nil {
		return err
	}
	for _, dir := range leftovers {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if _, err := os.Lstat(h.data()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	aside := h.data() + ".broken"
	say(h.log, "%s is not a complete database cluster; moving it to %s", h.data(), aside)
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	return os.Rename(h.data(), aside)
}

// lastLines are the end of a log, as much as an error message bears.
func lastLines(log []byte) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	const keep = 5
	if len(lines) > keep {
		lines = lines[len(lines)-keep:]
	}
	return strings.Join(lines, "; ")
}
