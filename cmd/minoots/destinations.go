package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newDestinations() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "destinations",
		Short: "See which receivers fail, and limit what is sent to one, over the API",
		Long: "A destination is the scheme, host and port of webhooks: https://example.com. While one fails, its\n" +
			"deliveries wait without spending attempts, and it is tried again by itself.",
		Example: "  minoots destinations list\n" +
			"  minoots destinations limit https://example.com --rate 50 --concurrent 10",
	}
	cmd.AddCommand(newDestinationsList(), newDestinationsLimit(), newDestinationsReset())
	return cmd
}

func newDestinationsList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the destinations that fail or have limits",
		Example: "  minoots destinations list --json",
		Args:    cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return onAPI(cmd, func(ctx context.Context, c *client.Client) error {
			all := []minoots.Destination{}
			for cursor, more := "", true; more; more = cursor != "" {
				page, next, err := c.Destinations(ctx, largestPage, cursor)
				if err != nil {
					return err
				}
				all, cursor = append(all, page...), next
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), all)
			}
			return printDestinations(cmd, all...)
		})
	}
	return cmd
}

func newDestinationsLimit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "limit DESTINATION [--rate N] [--concurrent N] | --none",
		Short: "Limit what all replicas together send to a destination",
		Long:  "Sets both limits: one that is not given is taken away. Replicas know within two seconds.",
		Example: "  minoots destinations limit https://example.com --rate 50\n" +
			"  minoots destinations limit https://example.com --none",
		Args: cobra.ExactArgs(1),
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	rate := cmd.Flags().Float64("rate", 0, "attempts that may begin in a second")
	concurrent := cmd.Flags().Int("concurrent", 0, "attempts that may be under way at once")
	none := cmd.Flags().Bool("none", false, "take the limits away")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var limits minoots.DestinationLimits
		if cmd.Flags().Changed("rate") {
			limits.RatePerSecond = rate
		}
		if cmd.Flags().Changed("concurrent") {
			limits.MaxConcurrent = concurrent
		}
		if any := limits != (minoots.DestinationLimits{}); any == *none {
			return misuse("want --rate, --concurrent or both, or else --none")
		}
		return onDestination(cmd, args[0], *asJSON, limits.Validate(), func(ctx context.Context, c *client.Client, name string) (minoots.Destination, error) {
			return c.LimitDestination(ctx, name, limits)
		})
	}
	return cmd
}

func newDestinationsReset() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "reset DESTINATION",
		Short:   "Have what waits for a failing destination go on now",
		Long:    "As if it had answered: few deliveries at first, then more. If they fail, they wait again.",
		Example: "  minoots destinations reset https://example.com",
		Args:    cobra.ExactArgs(1),
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return onDestination(cmd, args[0], *asJSON, nil, func(ctx context.Context, c *client.Client, name string) (minoots.Destination, error) {
			return c.ResetDestination(ctx, name)
		})
	}
	return cmd
}

// onDestination does something to a destination and shows what came of it, unless
// the arguments are wrong.
func onDestination(
	cmd *cobra.Command, text string, asJSON bool, invalid error,
	do func(context.Context, *client.Client, string) (minoots.Destination, error),
) error {
	if invalid != nil {
		return misuse("%s", oneLine(invalid, cmd))
	}
	name, err := minoots.ParseDestination(text)
	if err != nil {
		return misuse("%s", oneLine(err, cmd))
	}
	return onAPI(cmd, func(ctx context.Context, c *client.Client) error {
		d, err := do(ctx, c, name)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), d)
		}
		return printDestinations(cmd, d)
	})
}

func printDestinations(cmd *cobra.Command, all ...minoots.Destination) error {
	rows := make([][]string, len(all))
	for i := range all {
		d := &all[i]
		rate, concurrent, reason := "-", "-", "-"
		if d.RatePerSecond != nil {
			rate = strconv.FormatFloat(*d.RatePerSecond, 'g', -1, 64) + "/s"
		}
		if d.MaxConcurrent != nil {
			concurrent = strconv.Itoa(*d.MaxConcurrent)
		}
		if d.Reason != nil {
			reason = short(*d.Reason, 60)
		}
		rows[i] = []string{
			d.Destination, string(d.State), here(d.Since), hereOrDash(d.NextProbeAt), strconv.FormatInt(d.Waiting, 10),
			strconv.FormatInt(d.Running, 10), rate, concurrent, reason,
		}
	}
	return printTable(cmd.OutOrStdout(), []string{
		"DESTINATION", "STATE", "SINCE", "NEXT PROBE", "WAITING", "RUNNING", "RATE", "CONCURRENT", "REASON",
	}, rows)
}
