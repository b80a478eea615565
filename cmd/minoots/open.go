package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/seal"
)

// How long a command waits for Postgres, which may be starting beside it: that
// often goes for what changes the schema, while a person at a terminal has mistyped
// something.
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
	d, err := openDatabase(cmd.Context(), cfg, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer d.Close()
	return do(cmd.Context(), d)
}

// openDatabase connects a command that works on the database directly, and sees
// to it that the schema is there.
func openDatabase(ctx context.Context, cfg config.Config, errOut io.Writer) (*db.DB, error) {
	d, err := reach(ctx, cfg.DatabaseURL, openTimeout, cfg.SecretsKeys, errOut)
	if err != nil {
		return nil, err
	}
	pending, err := d.MigrationsPending(ctx)
	if err == nil && pending {
		err = &minoots.Error{
			Code: minoots.CodeUnavailable, Message: "the database lacks the schema of this version",
			Hint: "run 'minoots migrate up'",
		}
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// reach connects to a database, waiting for it for a while; it says so if that is
// longer than a person thinks nothing of. Commands that have to do with signing
// secrets give the operator's keys, others nil.
func reach(ctx context.Context, url config.Secret, patience time.Duration, keys *seal.Ring, errOut io.Writer) (*db.DB, error) {
	cfg := db.Config{
		URL: url.Reveal(), Name: "cli", MaxConns: 4, Keys: keys,
		Log: slog.New(slog.DiscardHandler), // the error says it all, once
	}
	d, late, err := connectWithin(ctx, cfg, min(patience, openTimeout))
	if more := patience - openTimeout; late && more > 0 && !isRefusal(err) {
		say(errOut, "no answer from %s yet: %s; waiting %s more", url, root(err), more)
		d, _, err = connectWithin(ctx, cfg, more)
	}
	switch {
	case err == nil || ctx.Err() != nil:
		return d, err
	case isRefusal(err):
		return nil, &minoots.Error{
			Code: minoots.CodeUnavailable, Message: "refused by " + url.String(), Hint: "see " + config.DatabaseURL, Err: err,
		}
	default:
		return nil, &minoots.Error{
			Code: minoots.CodeUnavailable, Message: "no answer from " + url.String(),
			Hint: "is Postgres running there? see " + config.DatabaseURL, Err: err,
		}
	}
}

// isRefusal tells whether Postgres has answered, and will not have it: the user, the
// password or the database is wrong. Waiting does not help, unless it is starting.
func isRefusal(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code != "57P03"
}

// connectWithin tells with an error whether it is only late: waiting may help.
func connectWithin(ctx context.Context, cfg db.Config, patience time.Duration) (d *db.DB, late bool, err error) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, err = db.Connect(within, cfg)
	return d, err != nil && within.Err() != nil && ctx.Err() == nil, err
}
