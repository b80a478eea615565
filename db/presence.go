package db

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed query/replica_register.sql
var replicaRegisterSQL string

//go:embed query/replica_leave.sql
var replicaLeaveSQL string

// The deadlines of presence, which docs/adr/0012-presence.md derives: whoever is
// cut off has stopped for more than a second when others may take its jobs.
const (
	// presencePing is the time between two pings of the lock's session, and
	// presencePingTimeout how long one may take: a process whose connection
	// stalls gives itself up 2 s later, or 3.5 s at most.
	presencePing        = 500 * time.Millisecond
	presencePingTimeout = 1500 * time.Millisecond
	// presenceProof is how old the last proof may be: a ping that is only just in
	// time, a rest, and another.
	presenceProof = presencePing + 2*presencePingTimeout
	// presenceIdle is when the server ends the session of a process from which it
	// hears nothing, be it stopped or cut off, and with it its lock.
	presenceIdle = 5 * time.Second
)

// ErrPresenceLost says that others may take the process for dead.
var ErrPresenceLost = errors.New("presence lost")

// errHeldUp says that an answer came, but later than others wait for it: the
// process stood still.
var errHeldUp = errors.New("this process stood still")

// Presence is the proof that a process which runs actions is alive. It is made
// before the first action starts. Whoever loses it stops its actions at once, for
// others run them again.
//
// With a direct connection the proof is a session advisory lock: the server frees
// it with the socket, so a killed process is known at once. The connection is its
// own, so that nothing else can hold it up. Without one it is a lease; see
// presence_lease.go.
//
// A Presence is for one life: Register, Keep until it is lost or its time has
// come, Leave.
type Presence struct {
	pool     *pgxpool.Pool // to be struck off by: conn may have broken
	replica  string
	url      string // a direct connection, or empty
	leaseURL string // may lead to a pooler
	log      *slog.Logger
	writes   *Writes

	conn  *pgx.Conn
	lease bool
	// proof is when the last message was sent that Postgres has answered. It is
	// taken before the sending: the server's count of the same begins later.
	proof atomic.Pointer[time.Time]
}

// NewPresence makes the presence of a process, under a name that must never be
// used twice. directURL leads to Postgres itself; if it is empty or leads to a
// pooler, a lease takes the place of the lock.
func (d *DB) NewPresence(replica, directURL string, log *slog.Logger) *Presence {
	return &Presence{pool: d.pool, replica: replica, url: directURL, leaseURL: d.pool.Config().ConnString(), log: log, writes: d.writes}
}

// Mode tells how a registered presence is proved: lock or lease.
func (p *Presence) Mode() string {
	if p.lease {
		return "lease"
	}
	return "lock"
}

// Alive tells whether others must still take the process for alive. It asks no
// loop, only this machine's monotonic clock: a process that was stopped and goes
// on knows before it does anything else.
func (p *Presence) Alive() bool {
	proof := p.proof.Load()
	return proof != nil && time.Since(*proof) < p.limit()
}

func (p *Presence) limit() time.Duration {
	if p.lease {
		return leaseLimit
	}
	return presenceProof
}

// Register tries once to register. What it leaves behind when it fails is a name
// that is soon found lost, and never had a job.
func (p *Presence) Register(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := ErrPooled
	if p.url != "" {
		err = p.registerLock(ctx)
	}
	if errors.Is(err, ErrPooled) {
		p.lease = true
		err = p.registerLease(ctx)
	}
	p.writes.note(writeRegister, err)
	if err != nil {
		p.hangUp()
		return fmt.Errorf("register presence: %w", translate(redact(err)))
	}
	return nil
}

func (p *Presence) registerLock(ctx context.Context) error {
	cfg, err := pgx.ParseConfig(p.url)
	if err != nil {
		return fmt.Errorf("parse listen URL: %w", redact(err))
	}
	p.dress(cfg)
	pooled, err := probeOnce(ctx, cfg.Copy())
	switch {
	case err != nil:
		return err
	case pooled:
		return ErrPooled
	}
	freeLocks(cfg.RuntimeParams, 0)
	cfg.RuntimeParams["idle_session_timeout"] = strconv.FormatInt(presenceIdle.Milliseconds(), 10)
	if p.conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
		return err
	}
	sent := time.Now()
	var slot int
	var held bool
	if err := p.conn.QueryRow(ctx, replicaRegisterSQL, p.replica).Scan(&slot, &held); err != nil {
		return err
	}
	if !held {
		return fmt.Errorf("advisory lock (7701, %d) is taken", slot)
	}
	p.proof.Store(&sent)
	return nil
}

// dress gives a presence's connection its name and its way to dial.
func (p *Presence) dress(cfg *pgx.ConnConfig) {
	cfg.ConnectTimeout = 5 * time.Second
	cfg.DialFunc = dialer().DialContext
	cfg.RuntimeParams["application_name"] = "minoots-presence-" + p.replica
}

// Keep proves that the process is alive until ctx is done, or until it cannot:
// then the error is ErrPresenceLost, at once when the connection breaks, and
// before others may act on it when it stalls.
func (p *Presence) Keep(ctx context.Context) error {
	keep := p.keepLock
	if p.lease {
		keep = p.keepLease
	}
	err := keep(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // asked to stop: whatever broke, broke by that
	}
	p.proof.Store(nil)
	return fmt.Errorf("%w: %w", ErrPresenceLost, redact(err))
}

func (p *Presence) keepLock(ctx context.Context) error {
	for {
		if err := p.rest(ctx); err != nil {
			return err
		}
		sent := time.Now()
		if err := ping(ctx, p.conn.PgConn()); err != nil {
			return err
		}
		if err := p.proved(sent); err != nil {
			return err
		}
	}
}

// proved notes a proof, unless the last one is too old: who was not alive for a
// moment never is again, for in that moment Alive has told so.
func (p *Presence) proved(sent time.Time) error {
	if !p.Alive() {
		return errHeldUp
	}
	p.proof.Store(&sent)
	return nil
}

// rest waits for the next ping with an ear at the connection, so that its end is
// heard at once.
func (p *Presence) rest(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, presencePing)
	defer cancel()
	for {
		_, err := p.conn.WaitForNotification(ctx)
		switch {
		case err == nil: // not for us
		case pgconn.Timeout(err):
			return nil // the connection stays usable after a timeout here
		default:
			return err
		}
	}
}

// ping asks for an answer with a bare Sync, which is no statement and begins no
// transaction: at rest it costs the server next to nothing.
func ping(ctx context.Context, conn *pgconn.PgConn) error {
	ctx, cancel := context.WithTimeout(ctx, presencePingTimeout)
	defer cancel()
	pipeline := conn.StartPipeline(ctx)
	return firstError(pipeline.Sync(), pipeline.Close())
}

// leaveTimeout bounds what a presence does when it ends.
const leaveTimeout = time.Second

// Leave ends the presence. If the work has ended well the process is struck off;
// else, or if jobs of it are running all the same, it is left to be found lost.
func (p *Presence) Leave(ctx context.Context, endedWell bool) {
	p.proof.Store(nil)
	if endedWell {
		ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
		defer cancel()
		if _, err := p.pool.Exec(ctx, replicaLeaveSQL, p.replica); err != nil {
			p.log.Warn("this replica is not struck off; the others will find it lost", "name", p.replica, "error", redact(err))
		}
	}
	p.hangUp()
}

// hangUp closes the connection, which may be dead already.
func (p *Presence) hangUp() {
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	_ = p.conn.Close(ctx)
}
