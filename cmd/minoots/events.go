package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newEvents() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "events",
		Short:   "Follow what happens to timers, over the API",
		Example: "  minoots events tail --topics 'timer.*,action.failed'",
	}
	cmd.AddCommand(newEventsTail(), newEventsSchema())
	return cmd
}

func newEventsTail() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print events as they happen",
		Long: "Prints events until Ctrl-C, by default from now on. When the connection breaks it goes on where\n" +
			"it was: nothing is missed. With --json each line has the cursor behind it, for a later --after.",
		Example: "  minoots events tail --topics timer.fired,action.failed\n  minoots events tail --after oldest --json",
		Args:    cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	topics := cmd.Flags().StringSlice("topics", nil, "only these types, or parts of them such as timer.*; repeatable")
	timer := cmd.Flags().String("timer", "", "only of the timer with this id")
	labels := cmd.Flags().StringArray("label", nil, "only of timers with this label, k=v; repeatable")
	after := cmd.Flags().String("after", "latest", "begin behind this cursor, or at the oldest or latest event")
	limit := cmd.Flags().Int("limit", 0, "end after so many events; 0 for never")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f := client.EventFilter{Topics: *topics, After: *after}
		if *limit < 0 {
			return misuse("--limit %d: want a number of events, or 0", *limit)
		}
		if _, err := minoots.Topics(*topics); err != nil {
			return misuse("--topics: %s", err)
		}
		if *timer != "" {
			id, err := parseID(*timer)
			if err != nil {
				return err
			}
			f.TimerID = id
		}
		var err error
		if f.Labels, err = parseLabels(*labels); err != nil {
			return err
		}
		c, err := caller(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		shown := 0
		for e, err := range c.Events(cmd.Context(), f) {
			if err != nil {
				return err
			}
			if *asJSON {
				err = printLine(cmd.OutOrStdout(), e)
			} else {
				err = printEvent(cmd.OutOrStdout(), e.Event)
			}
			if err != nil {
				return err
			}
			if shown++; shown == *limit {
				return nil
			}
		}
		return nil
	}
	return cmd
}

func printEvent(w io.Writer, e minoots.Event) error {
	line := fmt.Sprintf("%s %s %-20s", e.OccurredAt.Local().Format("15:04:05.000"), e.TimerID, e.Type)
	if e.Occurrence > 0 {
		line += fmt.Sprintf(" firing %d", e.Occurrence)
	}
	if len(e.Data) > 0 {
		line += " " + printable(string(e.Data))
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(line, " "))
	return err
}
