package db

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed query/seat_take.sql
var seatTakeSQL string

//go:embed query/seat_leave.sql
var seatLeaveSQL string

// NoSeat is the seat of a kernel without a direct connection.
const NoSeat = -1

// maxSeats bounds the search for a free seat; kernels past it share the last rank.
const maxSeats = 256

// seatEvery is how often a kernel tries for a lower seat; the lower ones ping as
// seldom as pingEvery, which is how long a dead connection can go unnoticed.
const (
	seatEvery = time.Second
	pingEvery = 10 * time.Second
)

// The channels of a Session.
const (
	channelDue  = "minoots_due"
	channelOver = "minoots_over"
)

// ErrPooled says that the listen URL leads to a pooler, where LISTEN is lost.
var ErrPooled = errors.New("the listen URL leads to a transaction pooler; give MINOOTS_LISTEN_URL a direct connection, or off")

// Session is a replica's direct connection to Postgres, beside the pool: it
// listens for hints of due timers and of those that are over, and holds the
// kernel's seat, the lowest free session advisory lock. The server frees the seat
// with the socket, so a dead kernel's is free at once.
type Session struct {
	URL  string
	Name string
	Log  *slog.Logger
	// OnDue receives hints. more asks for a read of the whole window. Without it the
	// session is of a replica that has no kernel: it takes no seat.
	OnDue func(instants []time.Time, more bool)
	// OnChange receives the seat whenever it changes; NoSeat when the
	// connection is lost. After a reconnect hints may be missing.
	OnChange func(seat int)
	// Ear, unless nil, hears which timers are over.
	Ear Ear
}

// Run keeps the connection until ctx is done. Lost connections are made again,
// with pauses of 50 ms to 2 s. ErrPooled is the only other error.
func (s *Session) Run(ctx context.Context) error {
	pause := 50 * time.Millisecond
	for {
		began := time.Now()
		err := s.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // asked to stop: whatever broke, broke by that
		case errors.Is(err, ErrPooled):
			return err
		}
		s.moved(NoSeat)
		if time.Since(began) > 10*time.Second {
			pause = 50 * time.Millisecond
		}
		wait := pause/2 + rand.N(pause/2)
		s.Log.Warn("direct connection lost; polling until it is back", "error", redact(err), "retry_in", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// once connects and serves until something breaks.
func (s *Session) once(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // it may be dead already
	}()
	if s.Ear != nil {
		s.Ear.Listens(true)
		defer s.Ear.Listens(false)
	}
	seat, told := maxSeats, NoSeat
	for {
		if s.OnDue == nil {
			seat, err = NoSeat, ping(ctx, conn.PgConn())
		} else {
			seat, err = takeSeat(ctx, conn, seat)
		}
		if err != nil {
			return err
		}
		if seat != told {
			told = seat
			s.moved(seat)
		}
		if err := s.listen(ctx, conn, seat); err != nil {
			return err
		}
	}
}

func (s *Session) moved(seat int) {
	if s.OnChange != nil {
		s.OnChange(seat)
	}
}

func (s *Session) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(s.URL)
	if err != nil {
		return nil, fmt.Errorf("parse listen URL: %w", redact(err))
	}
	cfg.ConnectTimeout = 5 * time.Second
	cfg.DialFunc = dialer().DialContext
	cfg.RuntimeParams["application_name"] = "minoots-listen-" + s.Name
	pooled, err := probeOnce(ctx, cfg.Copy())
	if err != nil {
		return nil, err
	}
	if pooled {
		return nil, ErrPooled
	}
	freeLocks(cfg.RuntimeParams, 0) // the seat of a machine that is gone
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	listen, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if _, err := conn.Exec(listen, strings.Join(s.channels(), "; ")); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("listen: %w", err)
	}
	return conn, nil
}

// channels are what is listened for: nothing that nobody here wants to hear.
func (s *Session) channels() []string {
	var all []string
	if s.OnDue != nil {
		all = append(all, "LISTEN "+channelDue)
	}
	if s.Ear != nil {
		all = append(all, "LISTEN "+channelOver)
	}
	return all
}

// takeSeat takes the lowest free seat below the present one and leaves that. It
// is also the ping: an error or no answer in 2 s means the connection is dead.
func takeSeat(ctx context.Context, conn *pgx.Conn, seat int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var lower int
	err := conn.QueryRow(ctx, seatTakeSQL, seat).Scan(&lower)
	if errors.Is(err, pgx.ErrNoRows) {
		return seat, nil
	}
	if err != nil {
		return seat, fmt.Errorf("take seat: %w", err)
	}
	if seat < maxSeats {
		if _, err := conn.Exec(ctx, seatLeaveSQL, seat); err != nil {
			return seat, fmt.Errorf("leave seat: %w", err)
		}
	}
	return lower, nil
}

// listen hands on notifications until it is time to try for a lower seat.
func (s *Session) listen(ctx context.Context, conn *pgx.Conn, seat int) error {
	every := seatEvery
	if seat == 0 || seat == NoSeat {
		every = pingEvery
	}
	ctx, cancel := context.WithTimeout(ctx, every)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(ctx)
		switch {
		case err == nil && n.Channel == channelOver:
			s.Ear.TimersOver(parseOver(n.Payload))
		case err == nil:
			s.OnDue(parseDue(n.Payload))
		case pgconn.Timeout(err):
			return nil // the connection stays usable after a timeout here
		default:
			return err
		}
	}
}
