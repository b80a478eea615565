package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newAcks() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "acks",
		Short: "Acknowledge deliveries, as an agent does",
		Long: "An agent that is woken gets a token with the delivery, and says by it what became of that.\n" +
			"The token is the credential: no key is needed. docs/acknowledgements.md tells the whole of it.",
		Example: "  minoots acks send TOKEN --result '{\"pages\": 12}'\n  minoots acks heartbeat TOKEN --extend 10m --progress 'page 3'",
	}
	cmd.AddCommand(newAcksSend(), newAcksHeartbeat())
	return cmd
}

func newAcksSend() *cobra.Command {
	cmd := &cobra.Command{
		Use: "send TOKEN", Short: "Say that a delivery has succeeded, or failed", Args: cobra.ExactArgs(1),
		Example: "  minoots acks send TOKEN --result '{\"pages\": 12}'\n  minoots acks send TOKEN --failed 'the page is gone' --no-retry",
	}
	config.AddFlags(cmd.Flags(), config.URL)
	result := cmd.Flags().String("result", "", "what is to be kept of it: JSON, up to 4096 bytes")
	failed := cmd.Flags().String("failed", "", "it has failed, and why")
	noRetry := cmd.Flags().Bool("no-retry", false, "with --failed: another attempt will not help")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		hasFailed := cmd.Flags().Changed("failed")
		switch {
		case hasFailed && *result != "":
			return misuse("--result and --failed exclude each other")
		case *noRetry && !hasFailed:
			return misuse("--no-retry is for --failed")
		case *result != "" && !json.Valid([]byte(*result)):
			return misuse("--result is not JSON: a text has quotes, as in --result '\"done\"'")
		}
		c, err := ackClient(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		var receipt minoots.AcknowledgementReceipt
		if hasFailed {
			receipt, err = c.AcknowledgeFailure(cmd.Context(), args[0], *failed, !*noRetry)
		} else {
			var given any
			if *result != "" {
				given = json.RawMessage(*result)
			}
			receipt, err = c.Acknowledge(cmd.Context(), args[0], given)
		}
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), receipt)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: action %s of timer %s\n", receipt.Status, receipt.ActionID, receipt.TimerID)
		return err
	}
	return cmd
}

func newAcksHeartbeat() *cobra.Command {
	cmd := &cobra.Command{
		Use: "heartbeat TOKEN", Short: "Ask for more time", Args: cobra.ExactArgs(1),
		Example: "  minoots acks heartbeat TOKEN --extend 10m --progress 'page 3 of 12'",
	}
	config.AddFlags(cmd.Flags(), config.URL)
	extend := cmd.Flags().Duration("extend", 0, "how long from now on (default: the agent's timeout)")
	progress := cmd.Flags().String("progress", "", "how far it is, for people")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("extend") && *extend < time.Second {
			return misuse("--extend %s: want a second or more", *extend)
		}
		c, err := ackClient(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		beat, err := c.Heartbeat(cmd.Context(), args[0], *extend, *progress)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), beat)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "until %s\n", here(beat.ExpiresAt))
		return err
	}
	return cmd
}

// ackClient is a client without a key: the one that dev made is another's.
func ackClient(cmd *cobra.Command) (*client.Client, error) {
	cfg, err := settings(cmd)
	if err != nil {
		return nil, err
	}
	url := cfg.URL
	if url == "" {
		dev, err := readDevFile(devDir)
		if err != nil {
			return nil, misuse("no API: set %s", config.URL)
		}
		url = dev.URL
	}
	return client.New(url, "")
}
