package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/devpg"
)

// local is the service on one machine, for dev and demo: a Postgres that is
// found or started, its schema, and a connection to set things up with.
type local struct {
	cfg    config.Config
	db     *db.DB
	server *devpg.Server // nil if the database was named by the caller
}

// loopback is what webhooks may reach here beside the public addresses: the
// receivers that one writes are on one's own machine.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// startLocal finds a Postgres (a named one, or one in dir) and migrates it.
func startLocal(ctx context.Context, cfg config.Config, dir string, out io.Writer) (*local, error) {
	cfg.Roles = config.Roles{API: true, Kernel: true, Worker: true}
	cfg.WebhookAllowCIDRs = append(cfg.WebhookAllowCIDRs, loopback...)
	l := &local{}
	if named := os.Getenv("TEST_DATABASE_URL"); cfg.DatabaseURL.Reveal() == "" && named != "" {
		cfg.DatabaseURL = config.SecretOf(named)
	}
	if cfg.DatabaseURL.Reveal() == "" {
		server, err := devpg.Start(ctx, devpg.Config{Dir: dir, Durable: true, Log: out})
		if err != nil {
			return nil, err
		}
		l.server = server
		cfg.DatabaseURL = config.SecretOf(server.URL(""))
		if cfg.SecretsKeys == nil {
			// Beside the data that it is for. A named database is others' too, who
			// would have another key.
			if cfg.SecretsKeys, err = localKey(filepath.Join(filepath.Dir(dir), "secrets.key")); err != nil {
				return nil, errors.Join(err, l.stop())
			}
		}
	}
	l.cfg = cfg
	if err := l.prepare(ctx, out); err != nil {
		return nil, errors.Join(err, l.stop())
	}
	return l, nil
}

func (l *local) prepare(ctx context.Context, out io.Writer) error {
	var err error
	if l.db, err = reach(ctx, l.cfg.DatabaseURL, migrateTimeout, l.cfg.SecretsKeys, out); err != nil {
		return err
	}
	return db.MigrateUp(ctx, l.cfg.Direct())
}

// stop ends what startLocal began.
func (l *local) stop() error {
	if l.db != nil {
		l.db.Close()
	}
	if l.server == nil {
		return nil
	}
	return l.server.Stop()
}

// ensureTenant makes a tenant unless it is there.
func (l *local) ensureTenant(ctx context.Context, id string) error {
	_, err := l.db.TenantCreate(ctx, id, id)
	if minoots.ErrorCode(err) == minoots.CodeConflict {
		return nil
	}
	return err
}

// run runs a replica until ctx is done; it ends too when Postgres does. ready is
// called when the roles run.
func (l *local) run(ctx context.Context, r *replica, ready func() error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var postgres <-chan struct{} // nil, which never comes, for a named one
	if l.server != nil {
		postgres = l.server.Done()
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-r.Ready():
			if err := ready(); err != nil {
				cancel(err)
			}
		case <-ctx.Done():
			return
		}
		select {
		case <-postgres:
			cancel(errors.New("the database server ended by itself"))
		case <-ctx.Done():
		}
	}()
	err := r.Run(ctx)
	cancel(nil)
	<-watched
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// portsTried is how far up from the usual port a free one is looked for.
const portsTried = 50

// listenNear takes the address, or if it is only the default and taken, the next
// port that is free, and says so.
func listenNear(ctx context.Context, addr, env string, given bool, out io.Writer) (net.Listener, error) {
	l, err := listen(ctx, addr, env)
	if err == nil || given {
		return l, err
	}
	host, text, splitErr := net.SplitHostPort(addr)
	port, atoiErr := strconv.Atoi(text)
	if splitErr != nil || atoiErr != nil {
		return nil, err
	}
	for next := port + 1; next <= port+portsTried; next++ {
		if l, nextErr := listen(ctx, net.JoinHostPort(host, strconv.Itoa(next)), env); nextErr == nil {
			say(out, "port %d is taken; using %d (%s chooses another)", port, next, env)
			return l, nil
		}
	}
	return nil, err
}

// measureClock learns the clock of a database elsewhere as well as it can: the
// narrowest of several round trips wins.
func measureClock(ctx context.Context, d *db.DB) (func() time.Time, error) {
	for range 20 {
		if err := d.MeasureClock(ctx); err != nil {
			return nil, err
		}
	}
	return d.Clock().Now, nil
}
