package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots/api"
)

func newEventsSchema() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of an event",
		Example: "  minoots events schema --output docs/event.schema.json",
		Args:    cobra.NoArgs,
	}
	output := cmd.Flags().String("output", "", "write to this file (default: standard output)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		schema, err := api.EventSchema()
		if err != nil {
			return fmt.Errorf("generate the schema of events: %w", err)
		}
		if *output != "" {
			return os.WriteFile(*output, schema, 0o644)
		}
		_, err = cmd.OutOrStdout().Write(schema)
		return err
	}
	return cmd
}
