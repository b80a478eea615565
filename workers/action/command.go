package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

// pipesWait is how long the output of a program that has ended is waited for:
// what it printed last is in the pipe already, and who still holds the other end
// has left its process group.
const pipesWait = 500 * time.Millisecond

// Command runs programs of the operator's list: argv and no shell, an environment
// of TIMER_ variables only, an empty directory, and no process left behind.
type Command struct {
	allowed []string
	now     func() time.Time
}

var _ Executor = (*Command)(nil)

// NewCommand builds the executor. It runs on systems with process groups.
func NewCommand(config Config) *Command {
	config = config.withDefaults()
	return &Command{allowed: config.Commands, now: config.Now}
}

// Destination implements Executor: the program.
func (c *Command) Destination(d *minoots.Delivery) string {
	spec, bad := parseCommand(d.Action.Parameters)
	if len(bad) > 0 {
		return ""
	}
	return spec.Program
}

// Execute implements Executor.
func (c *Command) Execute(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome {
	return run(c.now, func(out *minoots.Outcome) failure {
		spec, bad := parseCommand(d.Action.Parameters)
		switch {
		case len(bad) > 0:
			return failure{ClassParameters, bad[0].Path + " " + bad[0].Message}
		case !slices.Contains(c.allowed, spec.Program):
			return failure{ClassCommandDenied, "the program is not one of those that the operator allows on this replica"}
		case ctx.Err() != nil:
			return failureOf(ctx, ctx, ctx.Err(), spec.timeout())
		}
		limited, cancel := context.WithTimeout(ctx, spec.timeout())
		defer cancel()
		output, err := execute(limited, spec, commandEnv(&d, attempt))
		out.Response = output
		return commandFailure(ctx, limited, err, spec.timeout())
	})
}

// execute runs the program to its end and gives the beginning of what it printed,
// both streams in the order of writing. When it returns, its process group is
// gone.
func execute(ctx context.Context, spec *commandSpec, env []string) (output []byte, err error) {
	dir, err := os.MkdirTemp("", "minoots-command-")
	if err != nil {
		return nil, errors.Join(errNotStarted, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(errNotStarted, err)
	}
	defer func() { _ = read.Close() }()

	cmd := exec.CommandContext(ctx, spec.Program, spec.Args...) //nolint:gosec // a program of the operator's list
	cmd.Env, cmd.Dir = env, dir
	cmd.Stdin = strings.NewReader(spec.Stdin)
	// A file and no buffer: Wait then returns when the program ends, and does not
	// wait for whoever else has its output open.
	cmd.Stdout, cmd.Stderr = write, write
	cmd.WaitDelay = pipesWait
	ownGroup(cmd)
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		return nil, errors.Join(errNotStarted, err)
	}
	printed := make(chan []byte, 1)
	go func() { printed <- readOutput(read) }()
	err = cmd.Wait()
	endGroup(cmd) // what the program has left behind
	_ = read.SetReadDeadline(time.Now().Add(pipesWait))
	return <-printed, err
}

var errNotStarted = errors.New("the program could not be started")

// readOutput keeps the beginning and reads on to the end, so that a program that
// prints much is not held up.
func readOutput(from io.Reader) []byte {
	buffer := make([]byte, minoots.MaxResponseCapture)
	n, err := io.ReadFull(from, buffer)
	if err == nil {
		_, _ = io.Copy(io.Discard, from)
	}
	return cleanText(buffer[:n])
}

func commandFailure(caller, attempt context.Context, err error, limit time.Duration) failure {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return failure{} // the second: it has ended well and left its input unread
	case errors.Is(err, errNotStarted) && attempt.Err() == nil:
		// The system's own words would name directories of this machine.
		return failure{ClassExec, "the program could not be started: it is missing, not executable, or this machine is short of something"}
	case errors.Is(caller.Err(), context.Canceled):
		return failureOf(caller, attempt, err, limit)
	case attempt.Err() != nil:
		return failure{ClassTimeout, fmt.Sprintf("the program had not ended within %s, and was killed", limit)}
	case errors.As(err, &exit) && exit.Exited():
		return failure{ClassExitCode, fmt.Sprintf("the program ended with exit code %d", exit.ExitCode())}
	case errors.As(err, &exit):
		return failure{ClassExitCode, "the program was ended by a signal: " + exit.String()}
	default:
		return failure{ClassExec, "the program could not be waited for"}
	}
}
