package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// importFiles is I: `minoots timers import` of a file on one replica, in a process of
// its own. Then of another that is killed on the way and run again: every line must
// be a timer once.
func importFiles(ctx context.Context, l *lab) error {
	t, err := l.freshService(ctx, "import", 1)
	if err != nil {
		return err
	}
	lines := l.size.imported
	what := "minoots timers import, " + number(float64(lines)) + " lines"
	whole, err := l.importFile(lines, "whole.ndjson")
	if err != nil {
		return err
	}
	sum, err := l.runImport(ctx, t, whole)
	if err != nil {
		return err
	}
	l.report.add("I", what, float64(sum.Created)/sum.Seconds, "timers/s")
	if sum, err = l.runImport(ctx, t, whole); err != nil {
		return err
	}
	if sum.Created != 0 || sum.Already != lines {
		return fmt.Errorf("%w: a repeat made %d timers, and found %d of %d", errTwice, sum.Created, sum.Already, lines)
	}
	l.report.add("I.again", what+", all there already", float64(sum.Already)/sum.Seconds, "lines/s")

	killed, err := l.importFile(lines, "killed.ndjson")
	if err != nil {
		return err
	}
	if err := l.killImport(ctx, t, killed, lines+lines/3); err != nil {
		return err
	}
	if sum, err = l.runImport(ctx, t, killed); err != nil {
		return err
	}
	n, err := one[int](ctx, t.database, "SELECT count(*) FROM minoots.timer_states")
	if err != nil {
		return err
	}
	if n != 2*lines || sum.Created+sum.Already != lines {
		return fmt.Errorf("%w: of %d lines there are %d timers; after the kill %d were made and %d were there",
			errTwice, 2*lines, n, sum.Created, sum.Already)
	}
	l.report.add("I.killed", what+", killed and run again: lines that were there already", float64(sum.Already), "lines")
	return l.leave(t)
}

// errTwice is a line of a file that became no timer, or two.
var errTwice = errors.New("not every line is one timer")

// importFile writes a file of reference timers.
func (l *lab) importFile(lines int, name string) (string, error) {
	path := filepath.Join(l.dir, name)
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	w := bufio.NewWriter(file)
	for i := range lines {
		line, _ := json.Marshal(refSpec(i, farDue(i), l.receiver.url("far"))) // a spec always encodes
		_, _ = w.Write(append(line, '\n'))
	}
	return path, errors.Join(w.Flush(), file.Close())
}

// imported is what `minoots timers import --json` says.
type imported struct {
	Created, Already int
	Seconds          float64
}

func (l *lab) importCommand(ctx context.Context, t *target, file string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, l.cfg.Executable, "timers", "import", file, "--json")
	cmd.Env = append(os.Environ(), "MINOOTS_URL="+t.base, "MINOOTS_API_KEY="+t.key)
	return cmd
}

func (l *lab) runImport(ctx context.Context, t *target, file string) (sum imported, err error) {
	out, err := l.importCommand(ctx, t, file).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return sum, fmt.Errorf("import %s: %w", filepath.Base(file), err)
	}
	return sum, json.Unmarshal(out, &sum)
}

// killImport runs an import and kills it, as a crash would, once there are so many
// timers.
func (l *lab) killImport(ctx context.Context, t *target, file string, timers int) error {
	running, kill := context.WithCancel(ctx)
	defer kill()
	cmd := l.importCommand(running, t, file)
	if err := cmd.Start(); err != nil {
		return err
	}
	err := until(ctx, 20*time.Millisecond, time.Minute, "a third is imported", func() (bool, error) {
		n, err := one[int](ctx, t.database, "SELECT count(*) FROM minoots.timer_states")
		return n >= timers, err
	})
	kill()
	return errors.Join(err, ignoreExit(cmd.Wait()))
}

// ignoreExit drops what a process says that was killed.
func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}
