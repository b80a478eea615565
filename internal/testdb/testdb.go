// Package testdb gives every test a fresh, migrated database of its own.
//
//	func TestMain(m *testing.M) { testdb.Main(m) }
//
//	func TestClaim(t *testing.T) {
//		t.Parallel()
//		database := testdb.New(t)
//		…database.Pool…
//	}
//
// The server is the one that TEST_DATABASE_URL names, whose user must be allowed
// to create databases; else a throw-away one for the test process. The migrations
// are run once, into a template database of which each test gets a copy.
package testdb

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/minoots/minoots/internal/devpg"
)

// EnvURL names the variable with the URL of a server to test on.
const EnvURL = "TEST_DATABASE_URL"

// setupTimeout bounds what is done for a test outside of the test itself: a
// server to start on a busy machine, a migration to wait for.
const setupTimeout = 3 * time.Minute

// poolConns is enough for a test with some concurrency, and few enough for a
// dozen tests at once on a server that takes 200 connections. A test that plays
// many replicas opens pools of its own on URL.
const poolConns = 8

// DB is one test's database.
type DB struct {
	Name string
	URL  string        // as the superuser of a throw-away server
	Pool *pgxpool.Pool // closed when the test ends
}

// New makes a database for the test and drops it when the test has ended, with
// whatever connections the test has left. It fails the test if it cannot.
func New(t testing.TB) *DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	name, err := shared.create(ctx)
	if err != nil {
		t.Fatalf("testdb: make a database: %v", err)
	}
	t.Cleanup(func() {
		// Not t.Context(), which has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		if err := shared.drop(ctx, name); err != nil {
			t.Errorf("testdb: drop the database: %v", err)
		}
	})

	database := &DB{Name: name, URL: shared.server.URL(name)}
	config, err := pgxpool.ParseConfig(database.URL)
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	config.MaxConns = poolConns
	if database.Pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		t.Fatalf("testdb: open a pool: %v", err)
	}
	t.Cleanup(database.Pool.Close) // before the drop: cleanups run backwards
	return database
}

// Main is the whole of a package's TestMain: it runs the tests, stops the
// throw-away server if one was started, looks for leaked goroutines, and exits.
func Main(m *testing.M, options ...goleak.Option) {
	goleak.VerifyTestMain(stopping{m, options}, options...)
}

// windUp is how long what the tests have stopped may take to end: River tries to
// give up its leadership for some seconds when Postgres is away.
const windUp = 20 * time.Second

// stopping runs tests, waits for what they have stopped, and stops the server.
type stopping struct {
	tests   *testing.M
	options []goleak.Option
}

func (s stopping) Run() int {
	status := s.tests.Run()
	for deadline := time.Now().Add(windUp); goleak.Find(s.options...) != nil && time.Now().Before(deadline); {
		continue // each look takes a moment
	}
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "testdb:", err)
		status = max(status, 1)
	}
	return status
}

// shared is what the tests of one process have in common, made at first need.
var shared = new(source)

type source struct {
	once     sync.Once
	server   *devpg.Server
	template string // the name of the migrated database
	strategy string // how CREATE DATABASE copies it
	err      error
}

// create copies the template, on a server that it starts if need be.
func (s *source) create(ctx context.Context) (name string, err error) {
	s.once.Do(func() { s.err = s.setUp(ctx) })
	if s.err != nil {
		return "", s.err
	}
	name = databaseName(time.Now())
	return name, s.exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(s.template)+" STRATEGY "+s.strategy)
}

func (s *source) drop(ctx context.Context, name string) error {
	return s.exec(ctx, "DROP DATABASE "+quote(name)+" WITH (FORCE)")
}

func (s *source) setUp(ctx context.Context) (err error) {
	if os.Getenv(EnvURL) != "" {
		s.server, err = devpg.Locate(ctx, devpg.Config{}, EnvURL)
	} else {
		s.server, err = devpg.Throwaway(ctx, os.Stderr)
	}
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.server.URL(""))
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if s.strategy, err = copyStrategy(ctx, conn); err != nil {
		return err
	}
	s.template, err = makeTemplate(ctx, conn, s.server)
	return err
}

func (s *source) stop() error {
	if s.server == nil {
		return nil
	}
	return s.server.Stop()
}

// exec runs a statement on a connection of its own: a test that uses up the
// server's connections then fails where it does so, not in another test's pool.
func (s *source) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.server.URL(""))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// databaseName carries the time in seconds for dropStale, and enough chance that
// processes on one server do not meet.
func databaseName(now time.Time) string {
	return fmt.Sprintf("%s%d_%s", testPrefix, now.Unix(), strings.ToLower(rand.Text()[:12]))
}
