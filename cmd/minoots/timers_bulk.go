package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

// bulkFlags are the flags that choose many timers instead of ids.
type bulkFlags struct {
	flags                           *pflag.FlagSet
	statuses, labels                []string
	name, prefix, by, after, before string
	all, dryRun                     bool
}

// bulkFilterFlags are those of them that are a filter.
var bulkFilterFlags = []string{"status", "label", "name", "name-prefix", "timers-of", "due-after", "due-before"}

func addBulkFlags(flags *pflag.FlagSet) *bulkFlags {
	b := &bulkFlags{flags: flags}
	flags.StringSliceVar(&b.statuses, "status", nil, "instead of ids: timers in this status; repeatable")
	flags.StringArrayVar(&b.labels, "label", nil, "instead of ids: timers with this label, k=v; repeatable")
	flags.StringVar(&b.name, "name", "", "instead of ids: timers with this name")
	flags.StringVar(&b.prefix, "name-prefix", "", "instead of ids: timers with a name that begins so")
	flags.StringVar(&b.by, "timers-of", "", "instead of ids: timers that this caller asked for")
	flags.StringVar(&b.after, "due-after", "", "instead of ids: timers due at this instant or later: RFC 3339, or a duration from now")
	flags.StringVar(&b.before, "due-before", "", "instead of ids: timers due before this instant: RFC 3339, or a duration from now")
	flags.BoolVar(&b.all, "all", false, "instead of ids: every timer of the tenant")
	flags.BoolVar(&b.dryRun, "dry-run", false, "only count the timers that are meant")
	return b
}

// read gives what is meant; given is false if no flag was, and so ids must be.
func (b *bulkFlags) read(ids []string) (bulk client.Bulk, given bool, err error) {
	filtered := false
	for _, name := range bulkFilterFlags {
		filtered = filtered || b.flags.Changed(name)
	}
	given = filtered || b.all
	switch {
	case given && len(ids) > 0:
		return bulk, given, misuse("either ids or flags that choose timers, not both")
	case b.dryRun && !given:
		return bulk, given, misuse("--dry-run counts what --label and its like choose: want one of them")
	case !given && len(ids) == 0:
		return bulk, given, misuse("which timers? give ids (at least 1), or choose them with --label and its like, or --all")
	case filtered && b.all:
		return bulk, given, misuse("--all means every timer: leave out what chooses some of them")
	}
	bulk.All, bulk.DryRun = b.all, b.dryRun
	bulk.Filter = client.BulkFilter{Name: b.name, NamePrefix: b.prefix, RequestedBy: b.by}
	for _, s := range b.statuses {
		bulk.Filter.Status = append(bulk.Filter.Status, minoots.Status(s))
	}
	var errs [3]error
	bulk.Filter.Labels, errs[0] = parseLabels(b.labels)
	bulk.Filter.DueAfter, errs[1] = instantFlag("--due-after", b.after)
	bulk.Filter.DueBefore, errs[2] = instantFlag("--due-before", b.before)
	return bulk, given, errors.Join(errs[:]...)
}

func instantFlag(flag, text string) (*minoots.Instant, error) {
	t, err := parseWhen(flag, text)
	if err != nil || t.IsZero() {
		return nil, err
	}
	at := minoots.InstantOf(t)
	return &at, nil
}

// bulkCall is a call that changes many timers: a method expression of the client.
type bulkCall func(*client.Client, context.Context, client.Bulk) (client.BulkResult, error) //nolint:revive // that is their order

// changeMany makes calls until all timers that are meant are changed, and prints
// what became of them.
func changeMany(cmd *cobra.Command, verb string, do bulkCall, bulk client.Bulk, asJSON bool) error {
	c, err := caller(cmd)
	if err != nil {
		return err
	}
	defer c.Close()
	var sum client.BulkResult
	for {
		part, err := do(c, cmd.Context(), bulk)
		if err != nil {
			if sum.Changed > 0 {
				say(cmd.ErrOrStderr(), "%d timers had been %s by then", sum.Changed, verb)
			}
			return err
		}
		sum.Matched += part.Matched
		sum.Changed += part.Changed
		sum.Skipped += part.Skipped
		sum.DryRun, sum.More = part.DryRun, part.More
		if bulk.Cursor = part.NextCursor; bulk.Cursor == "" {
			break
		}
		if !asJSON {
			say(cmd.ErrOrStderr(), "%d timers %s so far", sum.Changed, verb)
		}
	}
	return printOne(cmd, asJSON, sum, "%s", whatChanged(sum, verb))
}

func whatChanged(sum client.BulkResult, verb string) string {
	switch {
	case sum.DryRun && sum.More:
		return fmt.Sprintf("more than %d timers would be %s", sum.Matched, verb)
	case sum.DryRun:
		return fmt.Sprintf("%d timers would be %s", sum.Matched, verb)
	case sum.Skipped > 0:
		return fmt.Sprintf("%d timers %s; %d fired or were changed meanwhile", sum.Changed, verb, sum.Skipped)
	default:
		return fmt.Sprintf("%d timers %s", sum.Changed, verb)
	}
}

// orMany lets a command that changes the timers of its arguments change those that
// flags choose instead. set puts the command's own flags into the request.
func orMany(cmd *cobra.Command, verb string, do bulkCall, set func(*client.Bulk)) {
	chosen := addBulkFlags(cmd.Flags())
	each := cmd.RunE
	cmd.Args = nil
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		bulk, many, err := chosen.read(args)
		if err != nil {
			return err
		}
		if !many {
			return each(cmd, args)
		}
		set(&bulk)
		asJSON, err := cmd.Flags().GetBool("json")
		if err != nil {
			return err
		}
		return changeMany(cmd, verb, do, bulk, asJSON)
	}
}

func newTimersReschedule() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reschedule",
		Short: "Move many timers, to an instant or by a duration",
		Example: "  minoots timers reschedule --label session=s-17 --by 30m --dry-run\n" +
			"  minoots timers reschedule --name-prefix digest- --at 2026-12-24T18:00:00+01:00",
		Args: cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	chosen := addBulkFlags(cmd.Flags())
	by := cmd.Flags().String("by", "", "each this much later: 30m; earlier if negative: -30m")
	to := cmd.Flags().String("at", "", "all at this instant, RFC 3339")
	cmd.MarkFlagsMutuallyExclusive("by", "at")
	cmd.MarkFlagsOneRequired("by", "at")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		bulk, _, err := chosen.read(nil)
		if err != nil {
			return err
		}
		if *to != "" {
			var at minoots.Instant
			if err := at.UnmarshalText([]byte(*to)); err != nil {
				return misuse("--at %q: %s", *to, err)
			}
			bulk.FireAt = &at
		} else {
			d, err := minoots.ParseDuration(*by)
			if err != nil {
				return misuse("--by %q: %s", *by, err)
			}
			bulk.Delay = &d
		}
		return changeMany(cmd, "moved", (*client.Client).RescheduleMany, bulk, *asJSON)
	}
	return cmd
}
