package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/devpg"
	"github.com/minoots/minoots/internal/rig"
)

// server is a Postgres that can be broken. It syncs to disk: what it has
// acknowledged must survive its crash.
type server struct {
	cfg  devpg.Config
	own  *devpg.Server
	home string // devpg may have had to take another place than the one it was given
	key  string // of the template's tenant
	// tablespace is where databases are made, if not where the server's files are.
	tablespace string
}

const (
	tenant   = "chaos"
	template = "chaos_template"
)

// serverSettings make room for many replicas. Checkpoints come as they come.
var serverSettings = map[string]string{"max_connections": "400"}

// startServer starts one with a migrated template.
func (h *harness) startServer(ctx context.Context, dir string, settings map[string]string) (*server, error) {
	if settings == nil {
		settings = serverSettings
	}
	s := &server{cfg: devpg.Config{Dir: dir, Durable: true, Settings: settings, Log: h.cfg.Progress}}
	var err error
	if s.own, err = devpg.Start(ctx, s.cfg); err != nil {
		return nil, err
	}
	admin, err := pgx.Connect(ctx, s.own.URL(""))
	if err != nil {
		return s, fmt.Errorf("connect to the server: %w", err)
	}
	defer admin.Close(ctx)
	var data string
	if err := admin.QueryRow(ctx, "SELECT current_setting('data_directory'), current_setting('port')::int").Scan(&data, &s.cfg.Port); err != nil {
		return s, fmt.Errorf("read the server's settings: %w", err)
	}
	s.home = filepath.Dir(data)
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+template); err != nil {
		return s, fmt.Errorf("make the template: %w", err)
	}
	url := s.own.URL(template)
	if err := db.MigrateUp(ctx, url); err != nil {
		return s, fmt.Errorf("migrate the template: %w", err)
	}
	s.key, err = rig.MakeTenant(ctx, url, tenant)
	return s, err
}

// again starts the server that was ended, at the same address.
func (s *server) again(ctx context.Context) error {
	own, err := devpg.Start(ctx, s.cfg)
	if err == nil {
		s.own = own
	}
	return err
}

// close stops it; its files are the run's.
func (s *server) close() error {
	if s.own == nil {
		return nil
	}
	err := s.own.Stop()
	if strings.HasPrefix(s.home, os.TempDir()) { // not where it was told to be
		err = errors.Join(err, os.RemoveAll(s.home))
	}
	return err
}

// database is one scenario's.
type database struct {
	name, url string
	pool      *pgxpool.Pool // the harness's own
	server    *server
}

// create makes one; from is the template, or empty for one without a schema.
func (s *server) create(ctx context.Context, name, from string) (*database, error) {
	admin, err := pgx.Connect(ctx, s.own.URL(""))
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	defer admin.Close(ctx)
	sql := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize()
	if from != "" {
		sql += " TEMPLATE " + from
	}
	if s.tablespace != "" {
		sql += " TABLESPACE " + s.tablespace
	}
	if _, err := admin.Exec(ctx, sql); err != nil {
		return nil, fmt.Errorf("make a database: %w", err)
	}
	cfg, err := pgxpool.ParseConfig(s.own.URL(name))
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = 4
	cfg.ConnConfig.RuntimeParams["application_name"] = harnessName
	cfg.ConnConfig.ConnectTimeout = 2 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &database{name: name, url: s.own.URL(name), pool: pool, server: s}, nil
}

// harnessName tells the harness's connections from the service's.
const harnessName = "chaos"

// drop removes the database and whoever is still connected to it.
func (d *database) drop(ctx context.Context) error {
	d.pool.Close()
	admin, err := pgx.Connect(ctx, d.server.own.URL(""))
	if err != nil {
		return fmt.Errorf("drop database %s: %w", d.name, err)
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{d.name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database %s: %w", d.name, err)
	}
	return nil
}

// addTablespace has further databases made in a directory.
func (s *server) addTablespace(ctx context.Context, dir string) error {
	info, err := os.Stat(filepath.Join(s.home, "data"))
	if err != nil {
		return fmt.Errorf("find the server's user: %w", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	admin, err := pgx.Connect(ctx, s.own.URL(""))
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, "CREATE TABLESPACE elsewhere LOCATION '"+dir+"'"); err != nil {
		return fmt.Errorf("make a tablespace: %w", err)
	}
	s.tablespace = "elsewhere"
	return nil
}

// one reads one value.
func one[T any](ctx context.Context, d *database, sql string, args ...any) (T, error) {
	var v T
	err := d.pool.QueryRow(ctx, sql, args...).Scan(&v)
	return v, err
}
