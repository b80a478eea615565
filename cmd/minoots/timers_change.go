package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newTimersPause() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause [ID...]",
		Short: "Keep timers from firing until they are resumed",
		Example: "  minoots timers pause 01890a5d-ac96-774b-bcce-b302099a8057\n" +
			"  minoots timers pause --label session=s-17",
	}
	changesTimers(cmd, func() (timerChange, error) { return (*client.Client).PauseTimer, nil })
	orMany(cmd, "paused", (*client.Client).PauseMany, func(*client.Bulk) {})
	return cmd
}

func newTimersResume() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume [ID...]",
		Short: "Let paused timers go on",
		Long: "Lets paused timers go on. What becomes of the instant at which they are due, the policy says:\n" +
			"  shift  what was left when it was paused counts on from now\n" +
			"  fire   as it was; at once if it has passed\n" +
			"  skip   as it was; if it has passed, the timer is over",
		Example: "  minoots timers resume 01890a5d-ac96-774b-bcce-b302099a8057\n" +
			"  minoots timers resume 01890a5d-ac96-774b-bcce-b302099a8057 --policy fire --json",
	}
	text := cmd.Flags().String("policy", string(minoots.ResumeShift), "shift, fire or skip")
	changesTimers(cmd, func() (timerChange, error) {
		policy := minoots.ResumePolicy(*text)
		if !slices.Contains(minoots.ResumePolicies, policy) {
			return nil, misuse("--policy %q: want one of %v", *text, minoots.ResumePolicies)
		}
		return func(c *client.Client, ctx context.Context, id minoots.ID) (minoots.Timer, error) {
			return c.ResumeTimer(ctx, id, policy)
		}, nil
	})
	orMany(cmd, "resumed", (*client.Client).ResumeMany, func(b *client.Bulk) { b.Policy = minoots.ResumePolicy(*text) })
	return cmd
}

func newTimersSnooze() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snooze ID...",
		Short: "Make timers due later",
		Example: "  minoots timers snooze 01890a5d-ac96-774b-bcce-b302099a8057 --for 10m\n" +
			"  minoots timers snooze 01890a5d-ac96-774b-bcce-b302099a8057 --until 2026-12-24T18:00:00+01:00 --json",
	}
	duration := cmd.Flags().String("for", "", "this much later than they are due, or than now if that has passed: 10m, 2d")
	until := cmd.Flags().String("until", "", "at this instant, RFC 3339; not before they are due")
	cmd.MarkFlagsMutuallyExclusive("for", "until")
	cmd.MarkFlagsOneRequired("for", "until")
	changesTimers(cmd, func() (timerChange, error) {
		if *until != "" {
			var at minoots.Instant
			if err := at.UnmarshalText([]byte(*until)); err != nil {
				return nil, misuse("--until %q: %s", *until, err)
			}
			return func(c *client.Client, ctx context.Context, id minoots.ID) (minoots.Timer, error) {
				return c.SnoozeTimerUntil(ctx, id, at.Time)
			}, nil
		}
		by, err := minoots.ParseDuration(*duration)
		if err != nil {
			return nil, misuse("--for %q: %s", *duration, err)
		}
		return func(c *client.Client, ctx context.Context, id minoots.ID) (minoots.Timer, error) {
			return c.SnoozeTimer(ctx, id, by)
		}, nil
	})
	return cmd
}

func newTimersFire() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "fire ID...",
		Short:   "Fire timers now, scheduled or paused",
		Example: "  minoots timers fire 01890a5d-ac96-774b-bcce-b302099a8057",
	}
	changesTimers(cmd, func() (timerChange, error) { return (*client.Client).FireTimer, nil })
	return cmd
}

// timerChange is a call that changes one timer. Its order of parameters is that
// of a method expression.
type timerChange func(*client.Client, context.Context, minoots.ID) (minoots.Timer, error) //nolint:revive // see above

// changesTimers makes a command change the timers that its arguments name, one
// after the other, and print what they then are. read looks at the flags.
func changesTimers(cmd *cobra.Command, read func() (timerChange, error)) {
	cmd.Args = cobra.MinimumNArgs(1)
	config.AddFlags(cmd.Flags(), config.Caller...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change, err := read()
		if err != nil {
			return err
		}
		return onEach(cmd, args, func(ctx context.Context, c *client.Client, id minoots.ID) error {
			t, err := change(c, ctx, id)
			if err != nil {
				return err
			}
			return printOne(cmd, *asJSON, t, "%s", standing(t, time.Now()))
		})
	}
}

// standing is a timer in one line: when it is due, as long as that will be so.
func standing(t minoots.Timer, now time.Time) string {
	line := t.ID.String() + " " + string(t.Status)
	if t.Status == minoots.StatusScheduled {
		line += ", due " + here(t.FireAt) + " (" + relative(t.FireAt.Time, now) + ")"
	}
	return line
}
