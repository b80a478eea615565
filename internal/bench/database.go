package bench

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/minoots/minoots/internal/rig"
)

// database is one step's.
type database struct {
	name   string
	url    string
	pool   *pgxpool.Pool // the bench's own; what it does is not counted
	server *server
}

// database makes one for a step, a copy of the template.
func (l *lab) database(ctx context.Context, name string) (*database, error) {
	d, err := l.server.create(ctx, name, l.server.template)
	if err == nil {
		l.made = append(l.made, d)
	}
	return d, err
}

func (s *server) create(ctx context.Context, name, template string) (*database, error) {
	d := &database{name: s.prefix + name, server: s}
	sql := "CREATE DATABASE " + pgx.Identifier{d.name}.Sanitize()
	if template != "" {
		sql += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	if _, err := s.admin.Exec(ctx, sql); err != nil {
		return nil, fmt.Errorf("make a database: %w", err)
	}
	var err error
	if d.url, err = rig.WithDatabase(s.url, d.name); err == nil {
		d.pool, err = open(ctx, d.url, 4)
	}
	if err != nil {
		return nil, err
	}
	s.databases = append(s.databases, d)
	return d, nil
}

// drop removes the database and whoever is still connected to it.
func (d *database) drop(ctx context.Context) error {
	d.pool.Close()
	_, err := d.server.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{d.name}.Sanitize()+" WITH (FORCE)")
	if err != nil {
		return fmt.Errorf("drop database %s: %w", d.name, err)
	}
	d.server.databases = slices.DeleteFunc(d.server.databases, func(o *database) bool { return o == d })
	return nil
}

// open opens a pool whose statements pg_stat_statements does not count, if we
// are allowed to ask for that.
func open(ctx context.Context, url string, conns int32) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse the database URL: %w", err)
	}
	cfg.MaxConns = conns
	cfg.ConnConfig.RuntimeParams["application_name"] = "minoots-bench"
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, _ = conn.Exec(ctx, "SET pg_stat_statements.track = 'none'") // a superuser's right
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open a pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	return pool, nil
}

// one reads one value.
func one[T any](ctx context.Context, d *database, sql string, args ...any) (T, error) {
	var v T
	err := d.pool.QueryRow(ctx, sql, args...).Scan(&v)
	return v, err
}

// calm brings a database into the state that it would have some while after the
// rows were written: vacuumed, with statistics, and written to disk, so that no
// step pays for what was done to set it up. The table of jobs is empty then and
// known to be, as it is after a quiet night: a plan made for that must bear the
// storm that follows.
func (d *database) calm(ctx context.Context) error {
	for _, sql := range []string{
		"VACUUM (ANALYZE) minoots.timers", "VACUUM (ANALYZE) minoots.timer_states",
		"VACUUM (ANALYZE) river.river_job", "CHECKPOINT",
	} {
		if _, err := d.pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("calm the database: %w", err)
		}
	}
	return nil
}

// noneWaiting checks that no timer is left that was due and not claimed.
func (d *database) noneWaiting(ctx context.Context) error {
	n, err := one[int](ctx, d, "SELECT count(*) FROM minoots.timer_states WHERE due_at <= now()")
	if err == nil && n > 0 {
		err = fmt.Errorf("%w: %d are due and were not claimed", errLost, n)
	}
	return err
}
