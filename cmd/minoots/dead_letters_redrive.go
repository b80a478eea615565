package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newDeadLettersRedrive() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redrive [ID...]",
		Short: "Deliver dead letters again, by id or by filter",
		Long: "Delivers dead letters again, with the same webhook-id: those that are named, or those that the\n" +
			"filters choose, or with --all every one of the tenant.",
		Example: "  minoots dead-letters redrive 01890a5d-ac96-774b-bcce-b302099a8057\n" +
			"  minoots dead-letters redrive --error-class timeout --dry-run\n" +
			"  minoots dead-letters redrive --all --json",
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	filter := deadLetterFilter(cmd.Flags())
	all := cmd.Flags().Bool("all", false, "all of the tenant's")
	dryRun := cmd.Flags().Bool("dry-run", false, "only say how many")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := filter()
		if err != nil {
			return err
		}
		switch {
		case len(args) > 0 && (!f.IsZero() || *all || *dryRun):
			return misuse("give ids, or else filters, --all and --dry-run")
		case len(args) == 0 && f.IsZero() != *all:
			return misuse("give ids, filters or --all")
		}
		if len(args) > 0 {
			return onEach(cmd, args, func(ctx context.Context, c *client.Client, id minoots.ID) error {
				l, err := c.RedriveDeadLetter(ctx, id)
				if err != nil {
					return err
				}
				return printOne(cmd, *asJSON, l, "%s %s", l.ID, l.Status)
			})
		}
		return onAPI(cmd, func(ctx context.Context, c *client.Client) error {
			sum, err := redriveAll(ctx, c, f, *dryRun)
			if err != nil {
				return err
			}
			return printOne(cmd, *asJSON, sum, "%s", whatRedriven(sum, *dryRun))
		})
	}
	return cmd
}

// redriveAll goes on until none are left that the first request left over.
func redriveAll(ctx context.Context, c *client.Client, f client.DeadLetterFilter, dryRun bool) (client.Redriven, error) {
	sum, err := c.RedriveDeadLetters(ctx, f, dryRun)
	for err == nil && sum.More && !dryRun {
		var next client.Redriven
		next, err = c.RedriveDeadLetters(ctx, f, false)
		sum.Count, sum.More = sum.Count+next.Count, next.More && next.Count > 0
	}
	return sum, err
}

func whatRedriven(sum client.Redriven, dryRun bool) string {
	words := "redriven"
	if dryRun {
		words = "to be redriven"
	}
	more := ""
	if sum.More {
		more = " or more"
	}
	return fmt.Sprintf("%d%s %s", sum.Count, more, words)
}

func newDeadLettersDiscard() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "discard ID...",
		Short:   "Give dead letters up",
		Example: "  minoots dead-letters discard 01890a5d-ac96-774b-bcce-b302099a8057",
		Args:    cobra.MinimumNArgs(1),
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return onEach(cmd, args, func(ctx context.Context, c *client.Client, id minoots.ID) error {
			if err := c.DiscardDeadLetter(ctx, id); err != nil {
				return err
			}
			done := map[string]any{"id": id, "status": minoots.DeadLetterDiscarded}
			return printOne(cmd, *asJSON, done, "%s %s", id, minoots.DeadLetterDiscarded)
		})
	}
	return cmd
}
