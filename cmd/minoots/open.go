package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/seal"
)

// How long a command waits for Postgres, which may be starting beside it: a job
// that migrates often is, a person at a terminal has mistyped something.
const (
	openTimeout    = 3 * time.Second
	migrateTimeout = 30 * time.Second
)

// onDatabase runs a command's work on the database.
func onDatabase(cmd *cobra.Command, do func(context.Context, *db.DB) error) error {
	cfg, err := settings(cmd, config.DatabaseURL)
	if err != nil {
		return err
	}
	d, err := openDatabase(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	defer d.Close()
	return do(cmd.Context(), d)
}

// openDatabase connects a command that works on the database directly, and sees
// to it that the schema is there.
func openDatabase(ctx context.Context, cfg config.Config) (*db.DB, error) {
	d, err := reach(ctx, cfg.DatabaseURL, openTimeout, cfg.SecretsKeys)
	if err != nil {
		return nil, err
	}
	if pending, err := d.MigrationsPending(ctx); pending || err != nil {
		d.Close()
		return nil, &minoots.Error{
			Code: minoots.CodeUnavailable, Message: "the database lacks the schema of this version",
			Hint: "run 'minoots migrate up'",
		}
	}
	return d, nil
}

// reach connects to a database, waiting for it for a while. Commands that have to
// do with signing secrets give the operator's keys, others nil.
func reach(ctx context.Context, url config.Secret, patience time.Duration, keys *seal.Ring) (*db.DB, error) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	quiet := slog.New(slog.DiscardHandler) // the error says it all, once
	d, err := db.Connect(within, db.Config{URL: url.Reveal(), Name: "cli", MaxConns: 4, Log: quiet, Keys: keys})
	if err != nil && ctx.Err() == nil {
		return nil, &minoots.Error{
			Code: minoots.CodeUnavailable, Message: "no answer from " + url.String(),
			Hint: "is Postgres running there? see " + config.DatabaseURL, Err: err,
		}
	}
	return d, err
}
