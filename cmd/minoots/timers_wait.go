package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newTimersReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay ID...",
		Short: "Run timers again that settled or failed",
		Example: "  minoots timers replay 01890a5d-ac96-774b-bcce-b302099a8057\n" +
			"  minoots timers replay 01890a5d-ac96-774b-bcce-b302099a8057 --in 10m --json",
	}
	in := cmd.Flags().String("in", "0s", "this long from now: 10m, 2d")
	changesTimers(cmd, func() (timerChange, error) {
		delay, err := minoots.ParseDuration(*in)
		if err != nil || delay < 0 {
			return nil, misuse("--in %q: want a duration such as 10m", *in)
		}
		return func(c *client.Client, ctx context.Context, id minoots.ID) (minoots.Timer, error) {
			return c.ReplayTimer(ctx, id, delay, 0)
		}, nil
	})
	return cmd
}

func newTimersWait() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wait ID",
		Short: "Wait until a timer is over",
		Long: "Waits until a timer is settled, failed or cancelled, and prints what it then is. Exit status: 0 if it\n" +
			"settled; 1 if it failed, was cancelled, or was not over in time. A recurring timer is over when its\n" +
			"recurrence is.",
		Example: "  minoots timers wait 01890a5d-ac96-774b-bcce-b302099a8057 --timeout 10m && echo done",
		Args:    cobra.ExactArgs(1),
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	text := cmd.Flags().String("timeout", "", "give up after this long: 90s, 10m; default: never")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := parseID(args[0])
		if err != nil {
			return err
		}
		timeout := minoots.Duration(minoots.MaxHorizon)
		if *text != "" {
			if timeout, err = minoots.ParseDuration(*text); err != nil || timeout < 0 {
				return misuse("--timeout %q: want a duration such as 10m", *text)
			}
		}
		return onAPI(cmd, func(ctx context.Context, c *client.Client) error {
			t, over, err := c.WaitTimer(ctx, id, time.Duration(timeout))
			switch {
			case err != nil:
				return err
			case ctx.Err() != nil:
				return ctx.Err()
			case !over:
				return fmt.Errorf("timer %s was not over within %s", id, timeout)
			}
			err = printOne(cmd, *asJSON, t, "%s", standing(t, time.Now()))
			switch {
			case err != nil || t.Status == minoots.StatusSettled:
				return err
			case t.FailureReason != nil:
				return fmt.Errorf("timer %s %s: %s", t.ID, t.Status, printable(*t.FailureReason))
			default:
				return fmt.Errorf("timer %s is %s", t.ID, t.Status)
			}
		})
	}
	return cmd
}
