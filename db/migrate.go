package db

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/migrations"
)

// RiverSchema is where River's tables live, apart from ours and from the user's.
const RiverSchema = "river"

// riverVersion is the schema version of the River release in go.mod. A new
// release with a new schema is a new goose migration, never "latest", so that
// River's changes come when we say so.
const riverVersion = 7

// versionTable keeps goose's bookkeeping in our schema, since the database may be
// shared with an application that has a goose of its own.
const versionTable = "minoots.schema_versions"

// lockID is our own for the same reason: goose's default is the same for all.
const lockID = 7700_4097

// Migration is one step of the schema and whether it is applied.
type Migration struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"appliedAt"`
}

// MigrateUp applies what is pending. Any number of processes may call it at
// once: one applies, the others wait for it.
func MigrateUp(ctx context.Context, url string) error {
	return withProvider(ctx, url, func(p *goose.Provider, _ *pgxpool.Pool) error {
		_, err := p.Up(ctx)
		return err
	})
}

// MigrateDown takes the last applied migration back.
func MigrateDown(ctx context.Context, url string) error {
	return withProvider(ctx, url, func(p *goose.Provider, _ *pgxpool.Pool) error {
		_, err := p.Down(ctx)
		return err
	})
}

// MigrateStatus lists all migrations, the oldest first.
func MigrateStatus(ctx context.Context, url string) ([]Migration, error) {
	var all []Migration
	err := withProvider(ctx, url, func(p *goose.Provider, _ *pgxpool.Pool) error {
		states, err := p.Status(ctx)
		for _, s := range states {
			m := Migration{Version: s.Source.Version, Name: s.Source.Path}
			if m.Name == "" {
				m.Name = "river"
			}
			if s.State == goose.StateApplied {
				m.AppliedAt = &s.AppliedAt
			}
			all = append(all, m)
		}
		return err
	})
	return all, err
}

func withProvider(ctx context.Context, url string, fn func(*goose.Provider, *pgxpool.Pool) error) error {
	// Three connections: goose's session lock, its migrations, River's.
	d, err := Connect(ctx, Config{URL: url, Name: "migrate", MaxConns: 4})
	if err != nil {
		return err
	}
	defer d.Close()
	if err := makeSchema(ctx, d.pool, "minoots"); err != nil {
		return err
	}
	sqlDB := stdlib.OpenDBFromPool(d.pool)
	defer sqlDB.Close()
	p, err := newProvider(sqlDB, d)
	if err != nil {
		return err
	}
	return translate(fn(p, d.pool))
}

// makeSchema bears being run by many at once: IF NOT EXISTS looks first and then
// makes, so that the loser of a race gets a unique violation and may go on.
func makeSchema(ctx context.Context, pool *pgxpool.Pool, name string) error {
	_, err := pool.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+name)
	if err = translate(err); err != nil && minoots.ErrorCode(err) != minoots.CodeConflict {
		return fmt.Errorf("make schema %s: %w", name, err)
	}
	return nil
}

//go:embed query/migration_latest.sql
var migrationLatestSQL string

// MigrationsPending tells whether this binary brings migrations that the
// database lacks. A database that is ahead is none of its business: that is how
// an old replica lives through a deploy.
func (d *DB) MigrationsPending(ctx context.Context) (bool, error) {
	var latest int64
	err := d.pool.QueryRow(ctx, migrationLatestSQL).Scan(&latest)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" { // no such table: nothing was ever applied
		return true, nil
	}
	if err != nil {
		return true, translate(err)
	}
	return latest < LatestMigration(), nil
}

// LatestMigration is the newest version that this binary brings.
func LatestMigration() int64 {
	files, _ := fs.Glob(migrations.FS, "*.sql")
	latest := int64(0)
	for _, name := range files {
		if v, err := goose.NumericComponent(name); err == nil {
			latest = max(latest, v)
		}
	}
	return latest
}

func newProvider(sqlDB *sql.DB, d *DB) (*goose.Provider, error) {
	opts := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithTableName(versionTable),
		goose.WithGoMigrations(riverMigration(d.pool)),
	}
	if d.pooler {
		// Its lease outlives a dead holder by half a minute.
		locker, err := lock.NewPostgresTableLocker(
			lock.WithTableName("minoots.schema_lock"), lock.WithTableLockID(lockID), lock.WithTableLockTimeout(time.Second, 300))
		if err != nil {
			return nil, fmt.Errorf("make table locker: %w", err)
		}
		opts = append(opts, goose.WithLocker(locker))
	} else {
		// Tries once a second for five minutes: it polls rather than blocks, so
		// that a concurrent index build of the winner does not wait for us.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID), lock.WithLockTimeout(1, 300), lock.WithUnlockTimeout(1, 10))
		if err != nil {
			return nil, fmt.Errorf("make session locker: %w", err)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(goose.DialectPostgres, sqlDB, migrations.FS, opts...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

// riverMigration is goose version 2. River's migrator does not make its schema.
func riverMigration(pool *pgxpool.Pool) *goose.Migration {
	migrate := func(direction rivermigrate.Direction, target int) func(context.Context, *sql.DB) error {
		return func(ctx context.Context, _ *sql.DB) error {
			if err := makeSchema(ctx, pool, RiverSchema); err != nil {
				return err
			}
			m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: RiverSchema})
			if err != nil {
				return fmt.Errorf("open river migrations: %w", err)
			}
			_, err = m.Migrate(ctx, direction, &rivermigrate.MigrateOpts{TargetVersion: target})
			return err
		}
	}
	return goose.NewGoMigration(2,
		&goose.GoFunc{RunDB: migrate(rivermigrate.DirectionUp, riverVersion)},
		&goose.GoFunc{RunDB: migrate(rivermigrate.DirectionDown, -1)})
}
