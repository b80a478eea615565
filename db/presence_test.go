package db_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/internal/testdb"
)

// present is a presence that is kept.
type present struct {
	*db.Presence
	name  string
	ended chan error // what Keep returned
	stop  func()
}

// attend registers a process. directURL may be empty, for a lease.
func attend(t *testing.T, d *db.DB, directURL string) *present {
	t.Helper()
	name := "replica-" + minoots.NewID().String()
	p := &present{Presence: d.NewPresence(name, directURL, slog.New(slog.DiscardHandler)), name: name, ended: make(chan error, 1)}
	assert.False(t, p.Alive(), "not before it is registered")
	require.NoError(t, p.Register(t.Context()))
	require.True(t, p.Alive())
	ctx, cancel := context.WithCancel(context.Background())
	kept := make(chan struct{})
	go func() { defer close(kept); p.ended <- p.Keep(ctx) }()
	p.stop = func() { cancel(); <-kept }
	t.Cleanup(func() { p.stop(); p.Leave(context.Background(), false) })
	return p
}

// lostNow lists the processes that a look finds gone, for the first time.
func lostNow(t *testing.T, d *db.DB) (names []string) {
	t.Helper()
	lost, _, err := d.ReplicaLost(t.Context(), 0)
	require.NoError(t, err)
	for _, l := range lost {
		require.Zero(t, l.For)
		names = append(names, l.Replica)
	}
	return names
}

// eventuallyLost looks until this process, and no other, is found gone.
func (p *present) eventuallyLost(t *testing.T, d *db.DB) (at time.Time) {
	t.Helper()
	var lost []string
	require.Eventually(t, func() bool {
		lost = lostNow(t, d)
		at = time.Now()
		return len(lost) > 0
	}, 20*time.Second, 2*time.Millisecond)
	require.Equal(t, []string{p.name}, lost)
	assert.False(t, p.Alive())
	return at
}

const presenceLocks = `
	FROM pg_locks JOIN pg_database d ON d.oid = database JOIN minoots.replicas r ON objid = slot
	WHERE locktype = 'advisory' AND classid = 7701 AND objsubid = 2 AND granted AND datname = current_database()`

func TestPresenceByLock(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	p, other := attend(t, d, database.URL), attend(t, d, database.URL)
	assert.Equal(t, "lock", p.Mode())
	assert.Equal(t, 2, count(t, database, "SELECT count(*)"+presenceLocks))
	assert.Empty(t, lostNow(t, d))
	assert.Equal(t, 2, count(t, database, "SELECT count(*)"+presenceLocks), "a look takes nothing away")

	began := time.Now()
	assert.Equal(t, 1, count(t, database, "SELECT count(pg_terminate_backend(pid))"+presenceLocks+" AND replica = $1", p.name))
	require.ErrorIs(t, next(t, p.ended), db.ErrPresenceLost, "told at once, by the connection's end")
	p.eventuallyLost(t, d)
	assert.Less(t, time.Since(began), 2*time.Second)

	assert.Empty(t, lostNow(t, d), "found once")
	again, _, err := d.ReplicaLost(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Len(t, again, 1)
	assert.Equal(t, p.name, again[0].Replica)
	assert.Positive(t, again[0].For)
	assert.True(t, other.Alive())
}

// A process that leaves well is struck off; with jobs left it is to be found.
func TestPresenceLeave(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	for _, url := range []string{database.URL, ""} {
		p := attend(t, d, url)
		p.stop()
		require.NoError(t, next(t, p.ended))
		p.Leave(t.Context(), true)
		assert.False(t, p.Alive())
		assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.replicas"))
	}
	p := attend(t, d, database.URL)
	runningBy(t, database, fire(t, d, 1, 1), p.name)
	p.stop()
	p.Leave(t.Context(), true)
	p.eventuallyLost(t, d)
}

// The connection stalls, in both directions and without an end. The process is
// sure that it is cut off before the server is, however the two began to count.
func TestPresenceStalls(t *testing.T) {
	t.Parallel()
	for mode, url := range map[string]func(string) string{
		"lock":  func(url string) string { return url },
		"lease": func(string) string { return "" },
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			database, d := setup(t)
			proxy := faultproxy.New(t, database.URL)
			p := attend(t, connect(t, proxy.URL()), url(proxy.URL()))
			assert.Equal(t, mode, p.Mode())
			proxy.Set(faultproxy.Stall)
			stalled := time.Now()
			gaveUp := make(chan time.Time, 1)
			go func() {
				assert.ErrorIs(t, <-p.ended, db.ErrPresenceLost)
				gaveUp <- time.Now()
			}()
			lost := p.eventuallyLost(t, d)
			self := next(t, gaveUp)
			t.Logf("%s: gave itself up after %s, found lost after %s", mode, self.Sub(stalled), lost.Sub(stalled))
			assert.Greater(t, lost.Sub(self), time.Second, "it has time to stop")
			proxy.Set(faultproxy.Pass)
		})
	}
}

// A lease survives its connection; a lock does not, but is known to be lost.
func TestPresenceLeaseReconnects(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	proxy := faultproxy.New(t, database.URL)
	p := attend(t, connect(t, proxy.URL()), "")
	var before, after time.Time
	lease := "SELECT lease_until FROM minoots.replicas WHERE replica = $1"
	for range 2 {
		proxy.Cut()
		require.NoError(t, database.Pool.QueryRow(t.Context(), lease, p.name).Scan(&before))
		require.Eventually(t, func() bool {
			require.NoError(t, database.Pool.QueryRow(t.Context(), lease, p.name).Scan(&after))
			return after.After(before.Add(time.Second))
		}, 15*time.Second, 5*time.Millisecond)
		require.True(t, p.Alive())
	}
	assert.Empty(t, lostNow(t, d))

	// Somebody has found it lost: it does not come back.
	_, err := database.Pool.Exec(t.Context(), "UPDATE minoots.replicas SET lost_at = now()")
	require.NoError(t, err)
	require.ErrorIs(t, next(t, p.ended), db.ErrPresenceLost)
}

// Behind a pooler a presence is a lease, whatever it was told.
func TestPresenceThroughAPooler(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	pooler := database.PgBouncer(t)
	d := connect(t, pooler)
	p, q := attend(t, d, pooler), attend(t, d, "")
	assert.Equal(t, "lease", p.Mode())
	direct := attend(t, d, database.URL)
	assert.Equal(t, "lock", direct.Mode())
	assert.Empty(t, lostNow(t, d), "the lock is seen through the pooler too")
	direct.stop()
	direct.Leave(t.Context(), false)
	direct.eventuallyLost(t, d)
	p.stop()
	p.Leave(t.Context(), false)
	p.eventuallyLost(t, d)
	assert.True(t, q.Alive())
}

// Whoever registers is never found lost, however many look meanwhile.
func TestPresenceRegistersAmongReapers(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lookers, comers errgroup.Group
	for range 2 {
		lookers.Go(func() error {
			for ctx.Err() == nil {
				lost, _, err := d.ReplicaLost(t.Context(), time.Hour)
				if err != nil || len(lost) > 0 {
					return fmt.Errorf("lost: %v %w", lost, err)
				}
			}
			return nil
		})
	}
	for i := range 6 {
		comers.Go(func() error {
			for n := range 8 {
				url := database.URL
				if n%4 == 3 {
					url = ""
				}
				p := d.NewPresence(fmt.Sprintf("%d-%d", i, n), url, slog.New(slog.DiscardHandler))
				if err := p.Register(t.Context()); err != nil {
					return err
				}
				p.Leave(t.Context(), true)
			}
			return nil
		})
	}
	require.NoError(t, comers.Wait())
	cancel()
	require.NoError(t, lookers.Wait())
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.replicas"))
}

// A name is never used twice.
func TestPresenceNameTaken(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	p := attend(t, d, database.URL)
	for _, url := range []string{database.URL, ""} {
		again := d.NewPresence(p.name, url, slog.New(slog.DiscardHandler))
		err := again.Register(t.Context())
		assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err), "%v", err)
		assert.False(t, again.Alive())
	}
	assert.Empty(t, lostNow(t, d))
}
