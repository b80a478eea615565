package eventhub_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/eventhub"
	"github.com/minoots/minoots/internal/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// patience is how long a test waits for what should come soon.
const patience = time.Minute

func setup(t *testing.T, ring int) (*testdb.DB, *eventhub.Hub) {
	t.Helper()
	database := testdb.New(t)
	d, err := db.Connect(t.Context(), db.Config{URL: database.URL, Name: "hub"})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	hub, err := eventhub.New(eventhub.Config{DB: d, Ring: ring})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return database, hub
}

func subscribe(t *testing.T, hub *eventhub.Hub, f db.EventFilter, after string) *eventhub.Stream {
	t.Helper()
	var c db.EventCursor
	if after != "" {
		var err error
		c, err = db.ParseEventCursor(after)
		require.NoError(t, err)
	}
	s, err := hub.Subscribe(t.Context(), f, c)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// write appends n events in one transaction, of a tenant's timer that need not be.
func write(ctx context.Context, pool *pgxpool.Pool, tenant string, n int, sleep time.Duration) error {
	_, err := pool.Exec(ctx, `
		WITH written AS (
			INSERT INTO minoots.events (timer_id, tenant_id, type)
			SELECT gen_random_uuid(), $1, 'timer.updated' FROM generate_series(1, $2) RETURNING seq)
		SELECT pg_sleep($3) FROM (SELECT count(*) FROM written) AS w`, tenant, n, sleep.Seconds())
	return err
}

// take reads a stream until it has had n events.
func take(t *testing.T, s *eventhub.Stream, n int) []eventhub.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []eventhub.Event
	for len(all) < n {
		events, err := s.Next(ctx)
		require.NoError(t, err)
		all = append(all, events...)
	}
	return all
}

// Streams that come and go, that are behind and that are level, get each event
// once, while transactions overlap.
func TestStreamsMissNothing(t *testing.T) {
	t.Parallel()
	database, hub := setup(t, 100) // so small that some fall behind
	first := subscribe(t, hub, db.EventFilter{TenantID: "acme"}, "")
	start := first.Cursor()
	first.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	var writes, reads errgroup.Group
	var stopped atomic.Bool
	for i := range 4 {
		rnd := rand.New(rand.NewPCG(uint64(i), 1))
		writes.Go(func() error {
			for range 150 {
				tenant := []string{"acme", "globex"}[rnd.IntN(2)]
				if err := write(ctx, database.Pool, tenant, 1+rnd.IntN(4), time.Duration(rnd.IntN(20))*time.Millisecond); err != nil {
					return err
				}
			}
			return nil
		})
	}
	const readers = 6
	var had [readers]map[string]int
	var resumed, slow atomic.Int64
	for i := range readers {
		had[i] = map[string]int{}
		rnd := rand.New(rand.NewPCG(uint64(i), 2))
		reads.Go(func() error {
			for at := start; ; resumed.Add(1) {
				c, err := db.ParseEventCursor(at)
				if err != nil {
					return err
				}
				s, err := hub.Subscribe(ctx, db.EventFilter{TenantID: "acme"}, c)
				if err != nil {
					return err
				}
				next, over, err := readSome(ctx, s, rnd, had[i], &stopped)
				s.Close()
				switch {
				case errors.Is(err, eventhub.ErrSlow):
					slow.Add(1)
				case err != nil:
					return err
				}
				if over {
					return nil
				}
				at = next
			}
		})
	}
	require.NoError(t, writes.Wait())
	stopped.Store(true)
	require.NoError(t, reads.Wait())
	var written int
	require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT count(*) FROM minoots.events WHERE tenant_id = 'acme'").Scan(&written))
	for i := range had {
		assert.Len(t, had[i], written, "reader %d", i)
		for id, times := range had[i] {
			assert.Equal(t, 1, times, "reader %d, event %s", i, id)
		}
	}
	t.Logf("%d events; streams opened again %d times, %d cut off", written, resumed.Load(), slow.Load())
	assert.Positive(t, resumed.Load())
}

// readSome reads for a random while. It gives where to go on: behind some event,
// or where the stream says.
func readSome(ctx context.Context, s *eventhub.Stream, rnd *rand.Rand, had map[string]int, stopped *atomic.Bool) (at string, over bool, err error) {
	batches := 1 + rnd.IntN(20)
	for at = s.Cursor(); batches > 0; batches-- {
		last := stopped.Load()
		wait, cancel := context.WithTimeout(ctx, time.Second)
		events, err := s.Next(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return at, true, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			at = s.Cursor()
			if last {
				return at, true, nil
			}
			continue
		case err != nil:
			return s.Cursor(), false, err
		}
		if rnd.IntN(3) == 0 { // the consumer dies in the middle of what it was given
			events = events[:1+rnd.IntN(len(events))]
			batches = 0
		}
		for i := range events {
			had[events[i].ID]++
			at = events[i].Cursor
		}
		if rnd.IntN(4) == 0 {
			select {
			case <-time.After(time.Duration(rnd.IntN(200)) * time.Millisecond): // a slow consumer
			case <-ctx.Done():
			}
		}
	}
	return at, false, nil
}

func TestSlowConsumersAreCutOff(t *testing.T) {
	t.Parallel()
	database, hub := setup(t, 10)
	slow := subscribe(t, hub, db.EventFilter{}, "")
	for range 5 {
		witness := subscribe(t, hub, db.EventFilter{}, "")
		require.NoError(t, write(t.Context(), database.Pool, "acme", 10, 0))
		take(t, witness, 10)
		witness.Close()
	}
	_, err := slow.Next(t.Context())
	require.ErrorIs(t, err, eventhub.ErrSlow)
	again := subscribe(t, hub, db.EventFilter{}, slow.Cursor())
	assert.Len(t, take(t, again, 50), 50, "and go on where they were")
}

func TestStreamsByLabel(t *testing.T) {
	t.Parallel()
	database, hub := setup(t, 0)
	_, err := database.Pool.Exec(t.Context(), `
		INSERT INTO minoots.timers (id, created_at, tenant_id, labels)
		VALUES ('01900000-0000-7000-8000-000000000001', now(), 'acme', '{"session":"s-17","team":"a"}'),
			('01900000-0000-7000-8000-000000000002', now(), 'acme', '{"session":"s-18"}')`)
	require.NoError(t, err)
	all := subscribe(t, hub, db.EventFilter{TenantID: "acme"}, "")
	some := subscribe(t, hub, db.EventFilter{TenantID: "acme", Labels: map[string]string{"session": "s-17"}}, "")
	for range 3 {
		_, err := database.Pool.Exec(t.Context(), `
			INSERT INTO minoots.events (timer_id, tenant_id, type) SELECT id, tenant_id, 'timer.updated' FROM minoots.timers`)
		require.NoError(t, err)
		take(t, all, 2)
	}
	for _, e := range take(t, some, 3) {
		assert.Equal(t, "01900000-0000-7000-8000-000000000001", e.TimerID.String())
	}
}

// Without streams nothing is asked of Postgres, and a stream that comes later
// begins with what happens from then on.
func TestHubRestsWithoutStreams(t *testing.T) {
	t.Parallel()
	database, hub := setup(t, 0)
	s := subscribe(t, hub, db.EventFilter{}, "")
	require.NoError(t, write(t.Context(), database.Pool, "acme", 1, 0))
	take(t, s, 1)
	s.Close()
	scans := func() (n int) {
		require.NoError(t, database.Pool.QueryRow(t.Context(), `
			SELECT count(*) FROM pg_stat_activity WHERE application_name = 'minoots-hub' AND state <> 'idle'`).Scan(&n))
		return n
	}
	lastQuery := func() (at time.Time) {
		require.NoError(t, database.Pool.QueryRow(t.Context(), `
			SELECT max(query_start) FROM pg_stat_activity WHERE application_name = 'minoots-hub'`).Scan(&at))
		return at
	}
	require.Eventually(t, func() bool {
		before := lastQuery()
		<-time.After(300 * time.Millisecond) // six times the pause between two looks
		return scans() == 0 && lastQuery().Equal(before)
	}, patience, time.Millisecond)

	require.NoError(t, write(t.Context(), database.Pool, "acme", 1, 0))
	s = subscribe(t, hub, db.EventFilter{}, "")
	require.NoError(t, write(t.Context(), database.Pool, "globex", 1, 0))
	assert.Equal(t, "globex", take(t, s, 1)[0].TenantID)
}

func TestStreamsEndWithTheHub(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	d, err := db.Connect(t.Context(), db.Config{URL: database.URL, Name: "hub"})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	hub, err := eventhub.New(eventhub.Config{DB: d})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	s := subscribe(t, hub, db.EventFilter{}, "")
	cancel()
	_, err = s.Next(t.Context())
	require.ErrorIs(t, err, eventhub.ErrStopping)
	require.NoError(t, <-done)
	_, err = hub.Subscribe(t.Context(), db.EventFilter{}, db.EventCursor{})
	require.ErrorIs(t, err, eventhub.ErrStopping)
}
