package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newDeadLetters() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead-letters",
		Short: "See and redrive what ran out of attempts, over the API",
		Example: "  minoots dead-letters list\n" +
			"  minoots dead-letters redrive --error-class timeout --dry-run",
	}
	cmd.AddCommand(newDeadLettersList(), newDeadLettersGet(), newDeadLettersRedrive(), newDeadLettersDiscard())
	return cmd
}

// deadLetterFilter adds the flags that choose dead letters.
func deadLetterFilter(flags *pflag.FlagSet) func() (client.DeadLetterFilter, error) {
	timer := flags.String("timer", "", "only of the timer with this id")
	kind := flags.String("kind", "", "only of this kind of action: webhook, agent_prompt, workflow_event, command")
	class := flags.String("error-class", "", "only those whose last attempt ended with this class, such as timeout")
	after := flags.String("created-after", "", "only dead since this instant or later: RFC 3339, or a duration from now such as -1h")
	before := flags.String("created-before", "", "only dead before this instant: RFC 3339, or a duration from now such as -15m")
	return func() (client.DeadLetterFilter, error) {
		f := client.DeadLetterFilter{Kind: minoots.ActionKind(*kind), ErrorClass: *class}
		if *kind != "" && !slices.Contains(minoots.ActionKinds, f.Kind) {
			return f, misuse("--kind %q: want one of %v", *kind, minoots.ActionKinds)
		}
		var errs [3]error
		if *timer != "" {
			f.TimerID, errs[0] = parseID(*timer)
		}
		f.CreatedAfter, errs[1] = parseWhen("--created-after", *after)
		f.CreatedBefore, errs[2] = parseWhen("--created-before", *before)
		return f, errors.Join(errs[:]...)
	}
}

func newDeadLettersList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List dead letters, the oldest first",
		Example: "  minoots dead-letters list --created-after -24h\n  minoots dead-letters list --status resolved --json",
		Args:    cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	filter := deadLetterFilter(cmd.Flags())
	status := cmd.Flags().String("status", string(minoots.DeadLetterDead), "dead, redriven, resolved or discarded")
	limit := cmd.Flags().Int("limit", 100, "how many at most; 0 for all")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f, err := filter()
		if err != nil {
			return err
		}
		f.Status = minoots.DeadLetterStatus(*status)
		if !slices.Contains(minoots.DeadLetterStatuses, f.Status) {
			return misuse("--status %q: want one of %v", *status, minoots.DeadLetterStatuses)
		}
		if f.PageSize, err = pageOf(*limit, "dead letters"); err != nil {
			return err
		}
		return onAPI(cmd, func(ctx context.Context, c *client.Client) error {
			letters := []minoots.DeadLetter{}
			for more := true; more; more = f.Cursor != "" && (*limit == 0 || len(letters) < *limit) {
				page, err := c.ListDeadLetters(ctx, f)
				if err != nil {
					return err
				}
				letters, f.Cursor = append(letters, page.Items...), page.NextCursor
			}
			if *limit > 0 {
				letters = letters[:min(len(letters), *limit)]
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), letters)
			}
			return printTable(cmd.OutOrStdout(), deadLetterHeader, deadLetterRows(letters))
		})
	}
	return cmd
}

var deadLetterHeader = []string{"ID", "STATUS", "SINCE", "TIMER", "FIRING", "ACTION", "KIND", "ATTEMPTS", "LAST"}

func deadLetterRows(letters []minoots.DeadLetter) [][]string {
	rows := make([][]string, len(letters))
	for i := range letters {
		l := &letters[i]
		rows[i] = []string{
			l.ID.String(), string(l.Status), here(l.CreatedAt), l.TimerID.String(), strconv.Itoa(l.Occurrence), l.ActionID,
			string(l.Kind), strconv.Itoa(l.Attempts), lastResult(l),
		}
	}
	return rows
}

func lastResult(l *minoots.DeadLetter) string {
	return attemptResult(minoots.Attempt{HTTPStatus: l.HTTPStatus, Error: l.Error})
}

func newDeadLettersGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get ID",
		Short:   "Show one dead letter and all its attempts",
		Example: "  minoots dead-letters get 01890a5d-ac96-774b-bcce-b302099a8057 --json",
		Args:    cobra.ExactArgs(1),
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return onEach(cmd, args, func(ctx context.Context, c *client.Client, id minoots.ID) error {
			l, err := c.GetDeadLetter(ctx, id)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), l)
			}
			return printDeadLetter(cmd.OutOrStdout(), l)
		})
	}
	return cmd
}

func printDeadLetter(w io.Writer, l minoots.DeadLetter) error {
	err := printTable(w, []string{"id", l.ID.String()}, [][]string{
		{"status", string(l.Status)},
		{"since", here(l.CreatedAt) + " (" + relative(l.CreatedAt.Time, time.Now()) + ")"},
		{"timer", l.TimerID.String() + " firing " + strconv.Itoa(l.Occurrence)},
		{"action", l.ActionID + " (" + string(l.Kind) + ", " + l.Phase + ")"},
		{"webhook-id", l.WebhookID},
		{"redrives", strconv.Itoa(l.Redrives)},
		{"last", lastResult(&l)},
	})
	if err != nil || len(l.History) == 0 {
		return err
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	var lines [][]string
	for _, a := range l.History {
		lines = append(lines, []string{strconv.Itoa(a.Attempt), string(a.Status), here(a.StartedAt), attemptResult(a)})
	}
	return printTable(w, []string{"ATTEMPT", "STATUS", "AT", "RESULT"}, lines)
}
