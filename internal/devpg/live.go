package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// answerDeadline is how long a live server of an earlier run may take to answer
// or to end; a shutdown that began when its parent died takes well under a
// second.
const answerDeadline = 10 * time.Second

// attach returns the server of an earlier run if it is alive, and nil if there
// is none and the way is free. The caller holds the lock, so that nobody else
// is starting one meanwhile.
func (h home) attach(ctx context.Context) (*Server, error) {
	file := filepath.Join(h.data(), "postmaster.pid")
	for start := time.Now(); ; {
		pid, port, err := readPidFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		if err != nil && !errors.Is(err, errNoPid) {
			return nil, fmt.Errorf("look for a running server: %w", err)
		}
		// Of a dead server the file stays where it is: the next one finds in it
		// the shared memory to check, and removes it by itself. But it would
		// refuse to start over a file cut short, or one whose number another
		// program bears by now, as is common in containers.
		if err != nil || alive(pid) && !isPostmaster(pid, h.data()) {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, fmt.Errorf("remove a stale lock file: %w", err)
			}
			return nil, nil
		}
		if !alive(pid) {
			return nil, nil
		}
		if port != 0 && h.answers(ctx, port) {
			say(h.log, "using the server that already runs in %s (process %d)", h.dir, pid)
			return newAttached(h, pid, port), nil
		}
		if time.Since(start) > answerDeadline {
			return nil, fmt.Errorf("use the server in %s: process %d does not answer; stop it with: kill -INT %d", h.dir, pid, pid)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, fmt.Errorf("wait for the server in %s: %w", h.dir, err)
		}
	}
}

// errNoPid is a lock file that was cut short by a crash of the machine.
var errNoPid = errors.New("no process id")

// readPidFile reads what a server leaves in its data directory: its process id
// in the first line and its port in the fourth, which is 0 here until written.
func readPidFile(file string) (pid, port int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	lines := strings.Split(string(text), "\n")
	if pid, err = strconv.Atoi(strings.TrimSpace(lines[0])); err != nil || pid <= 0 {
		return 0, 0, fmt.Errorf("read %s: %w", file, errNoPid)
	}
	if len(lines) > 3 {
		port, _ = strconv.Atoi(strings.TrimSpace(lines[3]))
	}
	return pid, port, nil
}

// alive reports whether there is such a process, be it ours to signal or not.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// newAttached watches a server which is not our child, for nobody tells us when
// such a one ends.
func newAttached(h home, pid, port int) *Server {
	stop := make(chan struct{})
	server := &Server{
		dsn: dsn(port), home: h.dir, attached: true,
		release: sync.OnceFunc(func() { close(stop) }),
		done:    make(chan struct{}),
	}
	go func() {
		defer close(server.done)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for alive(pid) {
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	return server
}
