package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
)

func newMigrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long: "Migrations run on " + config.ListenURL + " if that is set, for they want a direct connection,\n" +
			"else on " + config.DatabaseURL + ". Any number of processes may run them at once: one does, the\n" +
			"others wait. up and down wait 30 s for a Postgres that does not answer yet.",
		Example: "  minoots migrate up\n  minoots migrate status --json",
	}
	cmd.AddCommand(
		migrateCommand("up", "Apply what is pending", migrateTimeout, db.MigrateUp),
		migrateCommand("down", "Take the last migration back, with its data", migrateTimeout, db.MigrateDown),
		migrateCommand("status", "List the migrations", openTimeout, nil),
	)
	return cmd
}

// migrateCommand does something to the schema, if anything, and shows where it
// stands then.
func migrateCommand(name, short string, patience time.Duration, do func(context.Context, string) error) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Example: "  minoots migrate " + name, Args: cobra.NoArgs}
	config.AddFlags(cmd.Flags(), config.Direct...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := settings(cmd, config.DatabaseURL)
		if err != nil {
			return err
		}
		ctx, url := cmd.Context(), cfg.Direct()
		// db's own patience has no end; a command's has.
		d, err := reach(ctx, config.SecretOf(url), patience, nil, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		d.Close()
		if do != nil {
			if err := do(ctx, url); err != nil {
				return err
			}
		}
		all, err := db.MigrateStatus(ctx, url)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), all)
		}
		return printMigrations(cmd, all)
	}
	return cmd
}

func printMigrations(cmd *cobra.Command, all []db.Migration) error {
	var rows [][]string
	pending := 0
	for _, m := range all {
		applied := "pending"
		if m.AppliedAt != nil {
			applied = m.AppliedAt.Local().Format("2006-01-02 15:04:05")
		} else {
			pending++
		}
		rows = append(rows, []string{strconv.FormatInt(m.Version, 10), m.Name, applied})
	}
	if err := printTable(cmd.OutOrStdout(), []string{"VERSION", "NAME", "APPLIED"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d applied, %d pending\n", len(all)-pending, pending)
	return err
}
