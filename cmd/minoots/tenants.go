package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
)

func newTenants() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tenants",
		Short:   "Make and list tenants, directly on the database",
		Example: "  minoots tenants create acme --name 'Acme Inc.'",
	}
	cmd.AddCommand(newTenantsCreate(), newTenantsList())
	return cmd
}

func newTenantsCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create ID",
		Short:   "Make a tenant",
		Example: "  minoots tenants create acme --name 'Acme Inc.'",
		Args:    cobra.ExactArgs(1),
	}
	config.AddFlags(cmd.Flags(), config.DatabaseURL)
	name := cmd.Flags().String("name", "", "the tenant's name, for people (default: its id)")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id := args[0]
		if err := minoots.ValidateTenantID(id); err != nil {
			return misuse("%s", err)
		}
		if *name == "" {
			*name = id
		}
		return onDatabase(cmd, func(ctx context.Context, d *db.DB) error {
			tenant, err := d.TenantCreate(ctx, id, *name)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), tenant)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), tenant.ID)
			return err
		})
	}
	return cmd
}

func newTenantsList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the tenants",
		Example: "  minoots tenants list --json",
		Args:    cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.DatabaseURL)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return onDatabase(cmd, func(ctx context.Context, d *db.DB) error {
			const page = 1000
			all := []minoots.Tenant{}
			for after := ""; ; after = all[len(all)-1].ID {
				tenants, err := d.TenantPage(ctx, after, page)
				if err != nil {
					return err
				}
				all = append(all, tenants...)
				if len(tenants) < page {
					break
				}
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), all)
			}
			var rows [][]string
			for _, t := range all {
				rows = append(rows, []string{t.ID, t.Name, here(t.CreatedAt)})
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "NAME", "CREATED"}, rows)
		})
	}
	return cmd
}
