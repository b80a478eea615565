package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newSubscriptions() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subscriptions",
		Short: "Have events sent to a URL, over the API",
		Example: "  minoots subscriptions create https://example.com/events --topic 'timer.*'\n" +
			"  minoots subscriptions deliveries 01890a5d-ac96-774b-bcce-b302099a8057 --status failed",
	}
	one := func(use, short string, do func(context.Context, *client.Client, minoots.ID) (minoots.Subscription, error)) *cobra.Command {
		return subscriptionCommand(use, short, func(cmd *cobra.Command, c *client.Client, id minoots.ID, asJSON bool) error {
			s, err := do(cmd.Context(), c, id)
			if err != nil {
				return err
			}
			return printSubscriptions(cmd, asJSON, s)
		})
	}
	cmd.AddCommand(
		newSubscriptionsCreate(), newSubscriptionsList(),
		one("get", "Show a subscription", func(ctx context.Context, c *client.Client, id minoots.ID) (minoots.Subscription, error) {
			return c.GetSubscription(ctx, id)
		}),
		one("pause", "Have what happens wait", func(ctx context.Context, c *client.Client, id minoots.ID) (minoots.Subscription, error) {
			return c.PauseSubscription(ctx, id)
		}),
		newSubscriptionsResume(), newSubscriptionsTest(), newSubscriptionsDeliveries(), newSubscriptionsDelete(),
	)
	return cmd
}

// subscriptionCommand makes a command on one subscription.
func subscriptionCommand(use, short string, do func(*cobra.Command, *client.Client, minoots.ID, bool) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " ID", Short: short, Args: cobra.ExactArgs(1),
		Example: "  minoots subscriptions " + use + " 01890a5d-ac96-774b-bcce-b302099a8057",
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return onEach(cmd, args, func(_ context.Context, c *client.Client, id minoots.ID) error {
			return do(cmd, c, id, *asJSON)
		})
	}
	return cmd
}

func newSubscriptionsCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create URL", Short: "Send events to a URL from now on", Args: cobra.ExactArgs(1),
		Example: "  minoots subscriptions create https://example.com/events --topic 'timer.*' --topic action.dead_lettered --name audit",
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	topics := cmd.Flags().StringArray("topic", []string{"*"}, "an event type, a prefix such as timer.*, or *; may be repeated")
	name := cmd.Flags().String("name", "", "for people")
	timer := cmd.Flags().String("timer", "", "only events of the timer with this id")
	headers := cmd.Flags().StringArray("header", nil, "sent with each delivery: 'Name: value'; may be repeated")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec := minoots.SubscriptionSpec{Name: *name, URL: args[0], Topics: *topics, Headers: map[string]string{}}
		if *timer != "" {
			id, err := parseID(*timer)
			if err != nil {
				return err
			}
			spec.TimerID = &id
		}
		for _, h := range *headers {
			key, value, ok := strings.Cut(h, ":")
			if !ok {
				return misuse("--header: want 'Name: value'")
			}
			spec.Headers[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		return onAPI(cmd, func(ctx context.Context, c *client.Client) error {
			s, err := c.CreateSubscription(ctx, spec)
			if err != nil {
				return err
			}
			return printSubscriptions(cmd, *asJSON, s)
		})
	}
	return cmd
}

func newSubscriptionsList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List subscriptions", Args: cobra.NoArgs,
		Example: "  minoots subscriptions list --json",
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return onAPI(cmd, func(ctx context.Context, c *client.Client) error {
			page, err := c.ListSubscriptions(ctx, minoots.MaxSubscriptions, "") // there are no more
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), page.Items)
			}
			return printSubscriptions(cmd, false, page.Items...)
		})
	}
	return cmd
}

// printSubscriptions prints one as JSON, or some as a table.
func printSubscriptions(cmd *cobra.Command, asJSON bool, all ...minoots.Subscription) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), all[0])
	}
	rows := make([][]string, len(all))
	for i := range all {
		s := &all[i]
		rows[i] = []string{s.ID.String(), string(s.Status), s.Name, strings.Join(s.Topics, ","), s.URL}
	}
	return printTable(cmd.OutOrStdout(), []string{"ID", "STATUS", "NAME", "TOPICS", "URL"}, rows)
}

func newSubscriptionsResume() *cobra.Command {
	var skip *bool
	cmd := subscriptionCommand("resume", "Send what has waited, and go on", func(cmd *cobra.Command, c *client.Client, id minoots.ID, asJSON bool) error {
		s, err := c.ResumeSubscription(cmd.Context(), id, *skip)
		if err != nil {
			return err
		}
		return printSubscriptions(cmd, asJSON, s)
	})
	skip = cmd.Flags().Bool("skip", false, "drop what has waited")
	return cmd
}

func newSubscriptionsTest() *cobra.Command {
	return subscriptionCommand("test", "Send a test event, and say how that went", func(cmd *cobra.Command, c *client.Client, id minoots.ID, asJSON bool) error {
		t, err := c.TestSubscription(cmd.Context(), id)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(cmd.OutOrStdout(), t)
		} else if t.Delivered {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "delivered: %d in %.1f ms\n", t.HTTPStatus, t.DurationMs)
		}
		if err == nil && !t.Delivered {
			err = fmt.Errorf("not delivered: %s: %s", t.ErrorClass, t.Error)
		}
		return err
	})
}

func newSubscriptionsDelete() *cobra.Command {
	return subscriptionCommand("delete", "Delete a subscription, and what waits to be sent", func(cmd *cobra.Command, c *client.Client, id minoots.ID, asJSON bool) error {
		if err := c.DeleteSubscription(cmd.Context(), id); err != nil {
			return err
		}
		return printOne(cmd, asJSON, map[string]any{"id": id, "status": "deleted"}, "%s deleted", id)
	})
}

func newSubscriptionsDeliveries() *cobra.Command {
	var status *string
	var limit *int
	cmd := subscriptionCommand("deliveries", "List a subscription's deliveries, the newest first", func(cmd *cobra.Command, c *client.Client, id minoots.ID, asJSON bool) error {
		wanted := minoots.DeliveryStatus(*status)
		switch {
		case *status != "" && !slices.Contains(minoots.DeliveryStatuses, wanted):
			return misuse("--status %q: want one of %v", *status, minoots.DeliveryStatuses)
		case *limit < 1:
			return misuse("--limit %d: want a number of deliveries", *limit)
		}
		all, cursor := []minoots.SubscriptionDelivery{}, ""
		for more := true; more; more = cursor != "" && len(all) < *limit {
			page, err := c.ListDeliveries(cmd.Context(), id, wanted, min(*limit-len(all), largestPage), cursor)
			if err != nil {
				return err
			}
			all, cursor = append(all, page.Items...), page.NextCursor
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), all)
		}
		rows := make([][]string, len(all))
		for i := range all {
			d := &all[i]
			rows[i] = []string{
				d.ID.String(), string(d.Status), here(d.CreatedAt), string(d.Type), d.TimerID.String(), strconv.Itoa(d.Attempts),
				attemptResult(minoots.Attempt{HTTPStatus: d.HTTPStatus, Error: d.Error}),
			}
		}
		return printTable(cmd.OutOrStdout(), []string{"ID", "STATUS", "AT", "TYPE", "TIMER", "ATTEMPTS", "LAST"}, rows)
	})
	status = cmd.Flags().String("status", "", "only those that are waiting, paused, delivered, failed or dropped")
	limit = cmd.Flags().Int("limit", 100, "how many at most")
	return cmd
}
