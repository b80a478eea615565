package devpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a running server that is our child.
type process struct {
	cmd   *exec.Cmd
	asked atomic.Bool   // its end was wished for
	done  chan struct{} // closed when it has ended
	err   error         // how it ended; to be read after done
}

// spawn starts the server and watches it until it ends.
//
// It runs in a process group of its own: Ctrl-C in a terminal goes to the whole
// group in the foreground, and would take the database away while the service
// still drains. And it dies with us (dieWithParent), which Linux ties to the
// thread that started it: hence a goroutine which keeps its thread as long as
// the server lives.
func spawn(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr)

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// The steps of a stop, each given its time: SIGINT is a fast shutdown with a
// checkpoint, SIGQUIT gives up without one and leaves recovery to the next
// start, SIGKILL cannot be refused.
var stopSteps = []struct {
	signal syscall.Signal
	within time.Duration
}{
	{syscall.SIGINT, 10 * time.Second},
	{syscall.SIGQUIT, 5 * time.Second},
	{syscall.SIGKILL, 5 * time.Second},
}

func (p *process) stop() error {
	for i, step := range stopSteps {
		if p.signal(step.signal, step.within) {
			if i > 0 {
				return fmt.Errorf("stop PostgreSQL: it ended on %s only", step.signal)
			}
			return nil
		}
	}
	return fmt.Errorf("stop PostgreSQL: process %d does not end", p.cmd.Process.Pid)
}

func (p *process) kill() error {
	if !p.signal(syscall.SIGKILL, 5*time.Second) {
		return fmt.Errorf("kill PostgreSQL: process %d does not end", p.cmd.Process.Pid)
	}
	return nil
}

// signal reports whether the server has ended within the given time.
func (p *process) signal(signal syscall.Signal, within time.Duration) bool {
	select {
	case <-p.done:
		return true
	default:
	}
	p.asked.Store(true)
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return false
	}
	select {
	case <-p.done:
		return true
	case <-time.After(within):
		return false
	}
}
