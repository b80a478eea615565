package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots/api"
)

func newOpenAPI() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "openapi",
		Short:   "Print the OpenAPI document of the API",
		Example: "  minoots openapi --output openapi.yaml",
		Args:    cobra.NoArgs,
	}
	output := cmd.Flags().String("output", "", "write to this file (default: standard output)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		document, err := api.OpenAPI()
		if err != nil {
			return fmt.Errorf("generate the OpenAPI document: %w", err)
		}
		if *output != "" {
			return os.WriteFile(*output, document, 0o644)
		}
		_, err = cmd.OutOrStdout().Write(document)
		return err
	}
	return cmd
}
