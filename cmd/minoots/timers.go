package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newTimers() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "timers",
		Short: "Schedule and follow timers, over the API",
		Long: "Talks to the API at " + config.URL + " with the key in " + config.APIKey + ". Without them it talks to\n" +
			"the service that `minoots dev` runs in this directory.",
		Example: "  minoots timers create --in 45m --name resume-research --webhook https://example.com/hook\n" +
			"  minoots timers watch",
	}
	cmd.AddCommand(newTimersCreate(), newTimersGet(), newTimersList(), newTimersWatch(),
		newTimersCancel(), newTimersPatch(), newTimersPause(), newTimersResume(),
		newTimersSnooze(), newTimersFire(),
		newTimersReplay(), newTimersReschedule(), newTimersWait(), newTimersImport())
	return cmd
}

// timerFilter adds the flags that choose timers.
func timerFilter(flags *pflag.FlagSet) func() (client.TimerFilter, error) {
	statuses := flags.StringSlice("status", nil, "only in this status; repeatable: scheduled, paused, fired, settled, failed, cancelled")
	labels := flags.StringArray("label", nil, "only with this label, k=v; repeatable")
	name := flags.String("name", "", "only with this name")
	prefix := flags.String("name-prefix", "", "only with a name that begins so")
	by := flags.String("requested-by", "", "only asked for by this caller")
	after := flags.String("due-after", "", "only due at this instant or later: RFC 3339, or a duration from now such as -1h")
	before := flags.String("due-before", "", "only due before this instant: RFC 3339, or a duration from now such as 15m")
	return func() (client.TimerFilter, error) {
		f := client.TimerFilter{Name: *name, NamePrefix: *prefix, RequestedBy: *by}
		for _, s := range *statuses {
			if !slices.Contains(minoots.Statuses, minoots.Status(s)) {
				return f, misuse("--status %q: want one of %v", s, minoots.Statuses)
			}
			f.Statuses = append(f.Statuses, minoots.Status(s))
		}
		var errs [3]error
		f.Labels, errs[0] = parseLabels(*labels)
		f.DueAfter, errs[1] = parseWhen("--due-after", *after)
		f.DueBefore, errs[2] = parseWhen("--due-before", *before)
		return f, errors.Join(errs[:]...)
	}
}

func parseLabels(pairs []string) (map[string]string, error) {
	var labels map[string]string
	for _, pair := range pairs {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return nil, misuse("--label %q: want k=v", pair)
		}
		if labels == nil {
			labels = map[string]string{}
		}
		labels[k] = v
	}
	return labels, nil
}

// parseWhen reads an instant, or a duration from now. Empty is the zero time.
func parseWhen(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := minoots.ParseDuration(text); err == nil {
		return time.Now().Add(time.Duration(d)), nil
	}
	var i minoots.Instant
	if err := i.UnmarshalText([]byte(text)); err != nil {
		return time.Time{}, misuse(`%s %q: want an instant such as 2026-11-23T17:03:20Z or a duration such as 15m`, flag, text)
	}
	return i.Time, nil
}

func newTimersGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get ID",
		Short:   "Show one timer and its firings",
		Example: "  minoots timers get 01890a5d-ac96-774b-bcce-b302099a8057 --json",
		Args:    cobra.ExactArgs(1),
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return onEach(cmd, args, func(ctx context.Context, c *client.Client, id minoots.ID) error {
			t, err := c.GetTimer(ctx, id)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), t)
			}
			firings, err := c.ListFirings(ctx, t.ID, "", 100)
			if err != nil {
				return err
			}
			return printTimer(cmd.OutOrStdout(), t, firings.Items)
		})
	}
	return cmd
}

func newTimersList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List timers, by due time",
		Example: "  minoots timers list --status scheduled --due-before 1h\n  minoots timers list --label session=s-17 --json",
		Args:    cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	filter := timerFilter(cmd.Flags())
	limit := cmd.Flags().Int("limit", 100, "how many at most; 0 for all")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f, err := filter()
		if err != nil {
			return err
		}
		if f.PageSize, err = pageOf(*limit, "timers"); err != nil {
			return err
		}
		return onAPI(cmd, func(ctx context.Context, c *client.Client) error {
			timers := []minoots.Timer{}
			for t, err := range c.AllTimers(ctx, f) {
				if err != nil {
					return err
				}
				timers = append(timers, t)
				if len(timers) == *limit {
					break
				}
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), timers)
			}
			return printTable(cmd.OutOrStdout(), timerHeader, timerRows(timers, time.Now()))
		})
	}
	return cmd
}

func newTimersCancel() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cancel [ID...]",
		Short: "Call timers off that have not fired",
		Example: "  minoots timers cancel 01890a5d-ac96-774b-bcce-b302099a8057 --reason 'plans changed'\n" +
			"  minoots timers cancel --label session=s-17 --dry-run",
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	reason := cmd.Flags().String("reason", "", "why, for the record")
	by := cmd.Flags().String("requested-by", "", "who asks, for the record")
	chosen := addBulkFlags(cmd.Flags())
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if bulk, many, err := chosen.read(args); many || err != nil {
			if err != nil {
				return err
			}
			bulk.Reason, bulk.RequestedBy = *reason, *by
			return changeMany(cmd, "cancelled", (*client.Client).CancelMany, bulk, *asJSON)
		}
		return onEach(cmd, args, func(ctx context.Context, c *client.Client, id minoots.ID) error {
			t, err := c.CancelTimer(ctx, id, *reason, *by)
			if err != nil {
				return err
			}
			return printOne(cmd, *asJSON, t, "%s %s", t.ID, t.Status)
		})
	}
	return cmd
}
