// Command minoots is the service and its tools in one binary: the replica
// (serve), the schema (migrate), tenants and keys, a client of the API (timers),
// and everything at once on one machine (dev, demo).
//
// One file per subcommand, which reads its flags and calls the packages that do
// the work. replica.go joins those packages into a running process and stops it
// in order; ops.go is what operators ask it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

// gcPercent spares a third of the collections' work: the live heap is a few
// megabytes, so that the default would collect every few milliseconds under load.
// GOGC in the environment overrides it.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := untilSignal(context.Background())
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// The exit statuses of the contract.
const (
	exitDone   = 0
	exitFailed = 1
	exitMisuse = 2
)

// run is the whole program but for the process: it gives the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	var failed *failure
	if !errors.As(err, &failed) { // cobra's own: the command line is wrong
		err = misuse("%s", err)
	} else if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	say(errOut, "%s: %s", cmd.CommandPath(), oneLine(err, cmd))
	if isMisuse(err) {
		return exitMisuse
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "minoots",
		Short: "A durable timer service on Postgres",
		Long: "MINOOTS calls back at the right time: a caller says when and what, a replica does it,\n" +
			"on time and at least once, and Postgres keeps the record.",
		Example:       "  minoots dev                                  everything on this machine, to try it\n  minoots timers create --in 45m --webhook https://example.com/hook",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newServe(), newMigrate(), newDev(), newDemo(), newTenants(), newKeys(), newTimers(),
		newDeadLetters(),
		newSubscriptions(),
		newEvents(),
		newSecrets(),
		newAcks(),
		newDestinations(),
		newPreview(), newAudit(), newOpenAPI(), newBench(), newChaos(), newSoak(), newVersion(), newEnvironment(),
	)
	prepare(root)
	return root
}

// prepare marks what the commands' own code returns, so that run can tell it
// from cobra's complaints, and has groups of commands refuse what is none.
func prepare(cmd *cobra.Command) {
	if do := cmd.RunE; do != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := do(cmd, args); err != nil {
				return &failure{err}
			}
			return nil
		}
	} else if cmd.HasParent() && cmd.HasSubCommands() {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			return errors.New("a command is missing")
		}
	}
	for _, child := range cmd.Commands() {
		prepare(child)
	}
}

// failure is an error of a command that was called as it should be.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// misuseError is a mistake in the command line or the settings.
type misuseError struct{ text string }

func (e *misuseError) Error() string { return e.text }

func misuse(format string, args ...any) error {
	return &misuseError{strings.TrimSpace(fmt.Sprintf(format, args...))}
}

func isMisuse(err error) bool {
	var m *misuseError
	var c *config.Error
	return errors.As(err, &m) || errors.As(err, &c)
}

// oneLine is an error for people: what is wrong, and what to try next.
func oneLine(err error, cmd *cobra.Command) string {
	text, hint := err.Error(), ""
	var ours *minoots.Error
	var settings *config.Error
	switch {
	case errors.As(err, &ours):
		text, hint = describe(ours), ours.Hint
	case errors.As(err, &settings):
		hint = "see 'minoots help environment'"
	case isMisuse(err):
		hint = "see '" + cmd.CommandPath() + " --help'"
	}
	if hint != "" {
		text += " (" + hint + ")"
	}
	return strings.Join(strings.Fields(text), " ")
}

// describe says what an error of ours says. Its cause is of interest only where
// the code leaves open what to do.
func describe(e *minoots.Error) string {
	text := e.Message
	for i, f := range e.Fields {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		text += sep + strings.TrimSpace(f.Path+" "+f.Message)
	}
	var response *client.ResponseError
	switch {
	case errors.As(e.Err, &response):
		text += ": " + response.Error()
	case e.Err != nil && (e.Code == minoots.CodeUnavailable || e.Code == minoots.CodeInternal):
		text += ": " + root(e.Err)
	}
	return text
}

// root is the end of a chain of causes, which says it best: "connection refused"
// rather than who failed to do what because of it.
func root(err error) string {
	var op *net.OpError
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &op):
		return op.Error()
	case errors.As(err, &pg):
		return pg.Message
	default:
		return err.Error()
	}
}
