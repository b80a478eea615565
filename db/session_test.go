package db_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// kernel is a session and what it heard.
type kernel struct {
	t     *testing.T
	seats chan int
	hints chan hint
	stop  func() error
}

type hint struct {
	instants []time.Time
	more     bool
}

// listen runs a session until the test ends, or stop is called.
func listen(t *testing.T, url, name string) *kernel {
	t.Helper()
	k := &kernel{t: t, seats: make(chan int, 100), hints: make(chan hint, 2000)}
	s := &db.Session{
		URL: url, Name: name, Log: slog.New(slog.DiscardHandler),
		OnDue:    func(instants []time.Time, more bool) { k.hints <- hint{instants, more} },
		OnChange: func(seat int) { k.seats <- seat },
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	k.stop = func() error { cancel(); err := <-ended; ended <- err; return err }
	t.Cleanup(func() { _ = k.stop() })
	return k
}

// sits waits for the next seat.
func (k *kernel) sits(want int) {
	k.t.Helper()
	assert.Equal(k.t, want, next(k.t, k.seats))
}

func next[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(15 * time.Second):
		require.Fail(t, "nothing came")
	}
	return v
}

const seatsTaken = `
	FROM pg_locks l JOIN pg_database d ON d.oid = l.database
	WHERE locktype = 'advisory' AND classid = 7702 AND datname = current_database()`

// Seats are given in order of arrival. When a kernel leaves, or just goes away,
// one behind it moves up: whichever tries first, so that no two are compared here.
func TestSeats(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	p := newProxy(t, database)
	first := listen(t, p.URL, "first")
	first.sits(0)
	second := listen(t, database.URL, "second")
	second.sits(1)

	p.close()
	first.sits(db.NoSeat)
	second.sits(0)
	require.Eventually(t, func() bool { return count(t, database, "SELECT count(*)"+seatsTaken) == 1 },
		10*time.Second, time.Millisecond, "who moves up leaves the old seat")

	third := listen(t, database.URL, "third")
	third.sits(1)
	require.NoError(t, second.stop(), "a clean end")
	third.sits(0)
}

// Of more kernels than seats each has a rank all the same.
func TestNoSeatLeft(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	conn := direct(t, database.URL)
	_, err := conn.Exec(t.Context(), "SELECT pg_advisory_lock(7702, seat) FROM generate_series(0, 255) AS seat")
	require.NoError(t, err)
	k := listen(t, database.URL, "late")
	k.sits(256)
	_, err = conn.Exec(t.Context(), "SELECT pg_advisory_unlock(7702, 255)")
	require.NoError(t, err)
	k.sits(255)
}

// A lost connection is told, and made again.
func TestSessionReconnects(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	k := listen(t, database.URL, "lost")
	k.sits(0)
	for range 3 {
		assert.Equal(t, 1, count(t, database, "SELECT count(pg_terminate_backend(pid))"+seatsTaken))
		k.sits(db.NoSeat)
		// The server may hold the old lock for a moment longer.
		if seat := next(t, k.seats); seat != 0 {
			k.sits(0)
		}
	}
	at := d.Clock().Now().Truncate(time.Microsecond)
	announce(t, d, at)
	h := next(t, k.hints)
	assert.True(t, at.Equal(h.instants[0]), "it listens again")
	require.NoError(t, k.stop())
	require.Eventually(t, func() bool { return count(t, database, "SELECT count(*)"+seatsTaken) == 0 },
		10*time.Second, time.Millisecond, "the seat goes with the connection")
}

// What is not understood may come from a newer replica: the window is read.
func TestSessionHints(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	k := listen(t, database.URL, "hints")
	k.sits(0)
	for payload, want := range map[string]hint{
		"1790000000000001":                  {[]time.Time{time.UnixMicro(1790000000000001)}, false},
		"1790000000000001,1790000000000002": {[]time.Time{time.UnixMicro(1790000000000001), time.UnixMicro(1790000000000002)}, false},
		"1790000000000001,+":                {[]time.Time{time.UnixMicro(1790000000000001)}, true},
		"+":                                 {nil, true},
		"":                                  {nil, true},
		"soon":                              {nil, true},
		"1790000000000001,{}":               {[]time.Time{time.UnixMicro(1790000000000001)}, true},
		"99999999999999999999":              {nil, true},
		"1790000000000001;1790000000000002": {nil, true},
	} {
		_, err := database.Pool.Exec(t.Context(), "SELECT pg_notify('minoots_due', $1)", payload)
		require.NoError(t, err)
		assert.Equal(t, want, next(t, k.hints), "%q", payload)
	}
	_, err := database.Pool.Exec(t.Context(), "SELECT pg_notify('others', '1'), pg_notify('minoots_due', '7')")
	require.NoError(t, err)
	assert.Equal(t, hint{[]time.Time{time.UnixMicro(7)}, false}, next(t, k.hints), "other channels are not heard")
}
