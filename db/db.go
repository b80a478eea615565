// Package db is the one door to Postgres: pools, transactions, statements, row
// mapping, and the translation of Postgres errors into minoots.Error. No other
// package of MINOOTS holds SQL.
//
// Each statement is one file in query/, noun first, embedded by the Go file of
// the same noun. Statements are set-based: one round trip for a batch.
package db

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/minoots/minoots/internal/seal"
)

// Tx is a transaction of the caller's.
type Tx = pgx.Tx

// DB is a pool of connections and the statements that run on it. Each role of a
// replica has one of its own, so that one cannot starve another.
type DB struct {
	pool   *pgxpool.Pool
	clock  *Clock
	writes *Writes
	pooler bool
	keys   *seal.Ring // for secrets at rest

	schedules schedules
	catchUp   catchUp
}

// Config says where Postgres is and how much of it to use.
type Config struct {
	// URL names the database; it may lead to a transaction pooler.
	URL string
	// Name appears as application_name, with "minoots-" before it.
	Name string
	// MaxConns bounds the pool. Defaults to 8.
	MaxConns int32
	// CustomPlans has each execution planned anew. It is for River, whose
	// statements meet a table that is empty one moment and full the next; see
	// steerPlans.
	CustomPlans bool
	// Trusting takes connections for alive that have been idle: for pools whose
	// every statement is tried again, since a ping costs a round trip after each
	// second of rest.
	Trusting bool
	// Clock is shared by the DBs of a process. Defaults to a new one.
	Clock *Clock
	// Writes is shared by the DBs of a process. Defaults to a new one.
	Writes *Writes
	// Standstill is how long a transaction may wait for its next statement before
	// the server ends the session; without effect through a pooler. Defaults to
	// 15 s.
	Standstill time.Duration
	// Keys seal and open secrets at rest. Without any, new ones stand as they are.
	Keys *seal.Ring
	// Log receives what happens while Postgres is away. Defaults to slog.Default.
	Log *slog.Logger
}

// Connect waits until Postgres answers, trying again with growing pauses of at
// most two seconds until ctx is done, and gives a DB on it. A URL that does not
// parse is an error at once.
func Connect(ctx context.Context, cfg Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("parse database URL: %w", redact(err))
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 8
	}
	if cfg.Clock == nil {
		cfg.Clock = NewClock()
	}
	if cfg.Writes == nil {
		cfg.Writes = &Writes{}
	}
	if cfg.Standstill == 0 {
		cfg.Standstill = 15 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	pc.MaxConns = cfg.MaxConns
	pc.MaxConnLifetime = time.Hour
	pc.MaxConnLifetimeJitter = 10 * time.Minute
	pc.PingTimeout = 2 * time.Second
	if cfg.Trusting {
		pc.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	}
	pc.ConnConfig.ConnectTimeout = 5 * time.Second
	pc.ConnConfig.RuntimeParams["application_name"] = "minoots-" + cfg.Name
	pc.ConnConfig.DialFunc = dialer().DialContext

	pooler, err := probe(ctx, pc.ConnConfig, cfg.Log)
	if err != nil {
		return nil, err
	}
	if pooler {
		// A pooler may give each statement another server connection, on which
		// a prepared statement is not known.
		pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	} else {
		steerPlans(pc.ConnConfig.RuntimeParams, cfg.CustomPlans)
		freeLocks(pc.ConnConfig.RuntimeParams, cfg.Standstill)
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", redact(err))
	}
	d := &DB{pool: pool, clock: cfg.Clock, writes: cfg.Writes, pooler: pooler, keys: cfg.Keys}
	if err := d.MeasureClock(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return d, nil
}

// steerPlans keeps cached plans on the indexes. A statement that was planned while
// its table was empty, which for River's is the normal state, is cached as a scan
// of the whole, and a storm then meets that plan (measured: fetching 200 of
// 20,000 jobs took 2 to 4 s against 8 to 21 ms). Every statement of ours has its
// index; River's are planned anew each time. jit would answer the penalty on
// sequential scans with a compilation of 100 ms. A pooler takes no such
// parameters, and needs none: through it each execution is planned anew.
func steerPlans(params map[string]string, customPlans bool) {
	params["enable_seqscan"] = "off"
	params["jit"] = "off"
	if customPlans {
		params["plan_cache_mode"] = "force_custom_plan"
	}
}

// probe connects once, patiently, and tells whether a pooler answered: it
// reports a process id of its own making, not that of the server process.
func probe(ctx context.Context, cfg *pgx.ConnConfig, log *slog.Logger) (pooler bool, err error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		pooler, err = probeOnce(ctx, cfg.Copy())
		if err == nil {
			return pooler, nil
		}
		log.Warn("postgres does not answer yet", "host", cfg.Host, "port", cfg.Port, "error", redact(err), "retry_in", pause)
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("connect to postgres: %w", redact(err))
		case <-time.After(pause):
		}
	}
}

// probeTimeout bounds a probe: ConnectTimeout ends with the handshake, and a
// network may stall after it.
const probeTimeout = 10 * time.Second

func probeOnce(ctx context.Context, cfg *pgx.ConnConfig) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var pid uint32
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid)
	return pid != conn.PgConn().PID(), err
}

// Pooled tells whether the pool reaches Postgres through a transaction pooler,
// where sessions have no state: no LISTEN and no session locks.
func (d *DB) Pooled() bool { return d.pooler }

// Pool is the pool itself, for River, which keeps its own SQL.
func (d *DB) Pool() *pgxpool.Pool { return d.pool }

// Clock is the database's clock as this process estimates it.
func (d *DB) Clock() *Clock { return d.clock }

// Close closes the pool when its connections are back.
func (d *DB) Close() { d.pool.Close() }

// Reset makes the pool use new connections. Where one has died, its neighbours
// have mostly died too, and each would be found out by the failure of a statement.
func (d *DB) Reset() { d.pool.Reset() }

// Ping asks Postgres for an answer.
func (d *DB) Ping(ctx context.Context) error { return translate(d.pool.Ping(ctx)) }

// InTx runs fn in a transaction and commits when it returns nil. If the
// connection dies during the commit, nobody knows whether it committed, and the
// error is CodeUnavailable: what fn does must bear being done again.
func (d *DB) InTx(ctx context.Context, fn func(Tx) error) error {
	return translate(pgx.BeginFunc(ctx, d.pool, fn))
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}
