package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/devpg"
	"github.com/minoots/minoots/internal/rig"
)

// server is the Postgres of a run: one of its own, or one that it was given.
type server struct {
	own        *devpg.Server // nil if it was given
	home       string        // of our own server's files
	url        string
	admin      *pgxpool.Pool
	prefix     string // of the run's databases
	template   string // migrated, with the tenants and their keys
	statements bool   // pg_stat_statements is there
	tenants    [2]tenant
	databases  []*database // not dropped yet, the template first
}

// tenant is one of the two callers.
type tenant struct{ id, key string }

// serverSettings make room for ten replicas, and keep checkpoints out of the
// storms: with the default of 1 GB one would begin in the middle of each. What
// durability rests on (fsync, synchronous_commit, full_page_writes) is as
// Postgres has it.
var serverSettings = map[string]string{"max_connections": "600", "max_wal_size": "4GB"}

func startServer(ctx context.Context, l *lab) (*server, error) {
	s := &server{url: l.cfg.DatabaseURL, prefix: "minoots_bench_" + rand.Text()[:6] + "_"}
	if s.url == "" {
		own, err := ownServer(ctx, l)
		if err != nil {
			return nil, err
		}
		s.own, s.url = own, own.URL("")
	}
	var err error
	if s.admin, err = open(ctx, s.url, 4); err != nil {
		return s, err
	}
	if err := s.describe(ctx, l.report); err != nil {
		return s, err
	}
	if s.own != nil { // devpg may have had to take another place than the one it was given
		var data string
		if err := s.admin.QueryRow(ctx, "SHOW data_directory").Scan(&data); err != nil {
			return s, fmt.Errorf("read the server's settings: %w", err)
		}
		s.home = filepath.Dir(data)
	}
	return s, s.makeTemplate(ctx, l)
}

// ownServer prefers one with pg_stat_statements. Whether the library is there is
// known only by trying: a server that cannot load it does not start.
func ownServer(ctx context.Context, l *lab) (*devpg.Server, error) {
	cfg := devpg.Config{
		Dir: filepath.Join(l.dir, "postgres"), Durable: true, Log: l.cfg.Progress,
		Settings: map[string]string{"shared_preload_libraries": "pg_stat_statements"},
	}
	for name, value := range serverSettings {
		cfg.Settings[name] = value
	}
	own, err := devpg.Start(ctx, cfg)
	if err != nil && ctx.Err() == nil {
		delete(cfg.Settings, "shared_preload_libraries")
		if own, again := devpg.Start(ctx, cfg); again == nil {
			return own, nil
		}
	}
	return own, err
}

// describe notes the settings that a reader of the figures wants to know.
func (s *server) describe(ctx context.Context, r *Report) error {
	rows, err := s.admin.Query(ctx, `
		SELECT CASE name WHEN 'server_version' THEN 'version' ELSE name END, current_setting(name)
		FROM pg_settings WHERE name IN ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method',
			'shared_buffers', 'max_wal_size', 'max_connections', 'autovacuum', 'shared_preload_libraries')`)
	if err != nil {
		return fmt.Errorf("read the server's settings: %w", err)
	}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		r.Postgres[name] = value
		return nil
	})
	return err
}

// makeTemplate migrates a database that the steps' are copied from.
func (s *server) makeTemplate(ctx context.Context, l *lab) error {
	template, err := s.create(ctx, "template", "")
	if err != nil {
		return err
	}
	s.template = template.name
	if err := db.MigrateUp(ctx, template.url); err != nil {
		return fmt.Errorf("migrate the template: %w", err)
	}
	if _, err := template.pool.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"); err == nil {
		// The view is there even if the server has not loaded the library.
		_, err = template.pool.Exec(ctx, "SELECT count(*) FROM pg_stat_statements")
		s.statements = err == nil
	}
	if !s.statements {
		l.report.note("without pg_stat_statements: P8, P9 and the statements of P7 and P10 are not measured")
	}
	for i, id := range []string{"quiet", "noisy"} {
		key, err := rig.MakeTenant(ctx, template.url, id)
		if err != nil {
			return fmt.Errorf("make tenant %s: %w", id, err)
		}
		s.tenants[i] = tenant{id, key}
	}
	template.pool.Close() // a template with connections cannot be copied
	return nil
}

// close drops the databases and stops a server of our own.
func (s *server) close(keep bool) error {
	var errs []error
	for _, d := range s.databases {
		d.pool.Close()
	}
	if s.own == nil && !keep {
		for _, d := range slices.Clone(s.databases) { // drop takes them off
			errs = append(errs, d.drop(context.Background()))
		}
	}
	if s.admin != nil {
		s.admin.Close()
	}
	if s.own != nil {
		errs = append(errs, s.own.Stop())
		if s.home != "" && !keep {
			errs = append(errs, os.RemoveAll(s.home))
		}
	}
	return errors.Join(errs...)
}
