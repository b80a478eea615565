package main

import (
	"errors"
	"fmt"
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

// caller gives the API client that the settings, or else the development
// service's file, describe.
func caller(cmd *cobra.Command) (*client.Client, error) {
	cfg, err := settings(cmd)
	if err != nil {
		return nil, err
	}
	url, key := cfg.URL, cfg.APIKey.Reveal()
	if url == "" || key == "" {
		dev, err := readDevFile(devDir)
		switch {
		case err != nil:
			return nil, misuse("%s and %s are not both set, and no 'minoots dev' has run in this directory", config.URL, config.APIKey)
		case url != "" && url != dev.URL: // its key is of no use elsewhere
			return nil, misuse("%s is set and %s is not", config.URL, config.APIKey)
		}
		if url == "" {
			url = dev.URL
		}
		if key == "" {
			key = dev.APIKey
		}
	}
	return client.New(url, key)
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
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		c, err := caller(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		t, err := c.GetTimer(cmd.Context(), ids[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), t)
		}
		firings, err := c.ListFirings(cmd.Context(), t.ID, "", 100)
		if err != nil {
			return err
		}
		return printTimer(cmd.OutOrStdout(), t, firings.Items)
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
		if *limit < 0 {
			return misuse("--limit %d: want a number of timers, or 0 for all", *limit)
		}
		f.PageSize = 1000
		if *limit > 0 {
			f.PageSize = min(*limit, 1000)
		}
		c, err := caller(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		timers := []minoots.Timer{}
		for t, err := range c.AllTimers(cmd.Context(), f) {
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
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		c, err := caller(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		for _, id := range ids {
			t, err := c.CancelTimer(cmd.Context(), id, *reason, *by)
			if err != nil {
				return err
			}
			if *asJSON {
				err = printLine(cmd.OutOrStdout(), t)
			} else {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", t.ID, t.Status)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func parseIDs(args []string) ([]minoots.ID, error) {
	ids := make([]minoots.ID, len(args))
	for i, arg := range args {
		id, err := minoots.ParseID(arg)
		if err != nil {
			return nil, misuse("%q is %s", arg, err)
		}
		ids[i] = id
	}
	return ids, nil
}
