// Command run runs a program with a PostgreSQL server at hand:
//
//	go run ./internal/devpg/run -- go test ./...
//
// The program finds the server's URL in TEST_DATABASE_URL. If that is set
// already, the server it names is used; else a throw-away one is started, and
// stopped and removed when the program has ended. The exit status is the
// program's; 1 if there was no server to be had, 2 for misuse.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/minoots/minoots/internal/devpg"
)

const envName = "TEST_DATABASE_URL"

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: run -- COMMAND [ARGUMENT]...")
		os.Exit(2)
	}
	status, err := run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	// Before the server starts, so that no signal can end us and leave it.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)

	if os.Getenv(envName) == "" {
		server, err := start(signals)
		if err != nil {
			return 1, err
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
		if err := os.Setenv(envName, server.URL("")); err != nil {
			return 1, err
		}
	}
	return child(args, signals)
}

// start gives up at the first signal.
func start(signals <-chan os.Signal) (*devpg.Server, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	type result struct {
		server *devpg.Server
		err    error
	}
	started := make(chan result, 1)
	go func() {
		server, err := devpg.Throwaway(ctx, os.Stderr)
		started <- result{server, err}
	}()
	select {
	case r := <-started:
		return r.server, r.err
	case s := <-signals:
		cancel(fmt.Errorf("received %v", s))
		r := <-started
		if r.server != nil { // it was ready at the same moment
			return nil, errors.Join(context.Cause(ctx), r.server.Stop())
		}
		return nil, context.Cause(ctx)
	}
}

// child runs the program in a process group of its own and passes every signal
// to that group: Ctrl-C in a terminal reaches it once then, not twice, and so
// do the signals that somebody sends to us alone.
func child(args []string, signals <-chan os.Signal) (status int, err error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = syscall.Kill(-cmd.Process.Pid, s.(syscall.Signal)) // it may have ended
		case err := <-ended:
			return exitStatus(err)
		}
	}
}

// exitStatus follows the shell: 128 and the number for an end by a signal.
func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return exit.ExitCode(), nil
}
