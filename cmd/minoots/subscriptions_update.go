package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newSubscriptionsUpdate() *cobra.Command {
	var f subscriptionFlags
	cmd := subscriptionCommand("update", "Change a subscription", func(cmd *cobra.Command, c *client.Client, id minoots.ID, asJSON bool) error {
		patch, err := f.patch(cmd)
		if err != nil {
			return err
		}
		s, err := c.UpdateSubscription(cmd.Context(), id, patch)
		if err != nil {
			return err
		}
		return printSubscriptions(cmd, asJSON, s)
	})
	cmd.Long = "What a flag names is replaced, all else stays. What waits is sent as the subscription says then, at once.\n" +
		"The values of headers are never shown again; --header sets one, or replaces it."
	cmd.Example = "  minoots subscriptions update 01890a5d-ac96-774b-bcce-b302099a8057 --to https://example.com/events/v2\n" +
		"  minoots subscriptions update 01890a5d-ac96-774b-bcce-b302099a8057 --topic 'timer.*' --topic action.dead_lettered\n" +
		"  minoots subscriptions update 01890a5d-ac96-774b-bcce-b302099a8057 --header 'X-Token: new' --unheader X-Old --max-attempts 8"
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "send to this URL")
	flags.StringVar(&f.name, "name", "", "for people; may be empty")
	flags.StringArrayVar(&f.topics, "topic", nil, "an event type, a prefix such as timer.*, or *, in the place of all it had; may be repeated")
	flags.StringVar(&f.timer, "timer", "", "only events of the timer with this id; empty for those of all timers")
	flags.StringArrayVar(&f.headers, "header", nil, "set a header: 'Name: value'; may be repeated")
	flags.StringArrayVar(&f.unheaders, "unheader", nil, "remove the header of this name; may be repeated")
	flags.IntVar(&f.attempts, "max-attempts", 0, "how often each event is tried at most")
	return cmd
}

// subscriptionFlags say what is to change.
type subscriptionFlags struct {
	to, name, timer            string
	topics, headers, unheaders []string
	attempts                   int
}

// patch is a merge patch of what the flags name.
func (f *subscriptionFlags) patch(cmd *cobra.Command) (map[string]any, error) {
	patch, given := map[string]any{}, cmd.Flags().Changed
	if given("to") {
		patch["url"] = f.to
	}
	if given("name") {
		patch["name"] = f.name
	}
	if given("topic") {
		patch["topics"] = f.topics
	}
	if given("max-attempts") {
		patch["retryPolicy"] = map[string]any{"maxAttempts": f.attempts}
	}
	if given("timer") {
		patch["timerId"] = nil
		if f.timer != "" {
			ids, err := parseIDs([]string{f.timer})
			if err != nil {
				return nil, err
			}
			patch["timerId"] = ids[0]
		}
	}
	headers := map[string]any{}
	for _, name := range f.unheaders {
		headers[name] = nil
	}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, misuse("--header: want 'Name: value'")
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if len(headers) > 0 {
		patch["headers"] = headers
	}
	if len(patch) == 0 {
		return nil, misuse("nothing to change: give --to, --topic, --header or another flag")
	}
	return patch, nil
}

func newSubscriptionsRedeliver() *cobra.Command {
	cmd := &cobra.Command{
		Use: "redeliver ID DELIVERY...", Short: "Send deliveries that have ended once more", Args: cobra.MinimumNArgs(2),
		Long: "Sends each again under its webhook-id, well or badly as it ended, with the attempts of the policy anew.\n" +
			"minoots subscriptions deliveries ID --status failed lists those that failed.",
		Example: "  minoots subscriptions redeliver 01890a5d-ac96-774b-bcce-b302099a8057 01890a5e-3f10-7c21-9d0a-1f2e3d4c5b6a\n" +
			"  minoots subscriptions deliveries ID --status failed --json | jq -r '.[].id' | xargs minoots subscriptions redeliver ID",
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
		for _, id := range ids[1:] {
			d, err := c.Redeliver(cmd.Context(), ids[0], id)
			if err != nil {
				var why *minoots.Error
				if errors.As(err, &why) {
					which := *why
					which.Message = "delivery " + id.String() + ": " + why.Message
					return &which
				}
				return err
			}
			if *asJSON {
				err = printLine(cmd.OutOrStdout(), d)
			} else {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), d.ID, d.Status)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}
