package db_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// ear remembers what a session tells of timers that are over.
type ear struct {
	t    *testing.T
	on   chan bool
	over chan word
}

type word struct {
	ids  []minoots.ID
	more bool
}

var _ db.Ear = (*ear)(nil)

func (e *ear) Listens(on bool)                        { e.on <- on }
func (e *ear) TimersOver(ids []minoots.ID, more bool) { e.over <- word{ids, more} }

// hear runs the session of a replica without a kernel until the test ends.
func hear(t *testing.T, url string) *ear {
	t.Helper()
	e := &ear{t: t, on: make(chan bool, 100), over: make(chan word, 1000)}
	s := &db.Session{URL: url, Name: "ear", Log: slog.New(slog.DiscardHandler), Ear: e}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	require.True(t, next(t, e.on))
	return e
}

// told gives all that was told until now: a mark is sent behind it.
func (e *ear) told(database *testdb.DB) (ids []minoots.ID, more bool) {
	e.t.Helper()
	mark := minoots.NewID()
	_, err := database.Pool.Exec(e.t.Context(), "SELECT pg_notify('minoots_over', $1::uuid::text)", mark)
	require.NoError(e.t, err)
	for {
		w := next(e.t, e.over)
		if slices.Equal(w.ids, []minoots.ID{mark}) {
			return ids, more
		}
		ids, more = append(ids, w.ids...), more || w.more
	}
}

// endings are the ways in which a timer comes to its end. Each does one, and gives
// the timer.
var endings = map[string]func(t *testing.T, database *testdb.DB, d *db.DB) minoots.ID{
	"cancelled": func(t *testing.T, _ *testdb.DB, d *db.DB) minoots.ID {
		id := create(t, d, timerAt(d.Clock().Now().Add(time.Hour), 1, 1))[0]
		_, err := d.TimerCancel(t.Context(), tenant, id, nil, nil)
		require.NoError(t, err)
		return id
	},
	"cancelled with many": func(t *testing.T, _ *testdb.DB, d *db.DB) minoots.ID {
		id := create(t, d, timerAt(d.Clock().Now().Add(time.Hour), 1, 1))[0]
		done, err := d.TimerBulk(t.Context(), tenant, db.BulkCancel(nil, nil), db.BulkRequest{Limit: db.BulkMost})
		require.NoError(t, err)
		require.Equal(t, 1, done.Changed)
		return id
	},
	"cancelled from SQL": func(t *testing.T, database *testdb.DB, d *db.DB) minoots.ID {
		id := create(t, d, timerAt(d.Clock().Now().Add(time.Hour), 1, 1))[0]
		assert.Equal(t, 1, count(t, database, "SELECT minoots.cancel($1, $2)::int", tenant, id))
		return id
	},
	"settled without actions": func(t *testing.T, _ *testdb.DB, d *db.DB) minoots.ID {
		id := create(t, d, timerAt(past(d), 0, 1))[0]
		require.Len(t, claim(t, d, db.ClaimRequest{Limit: 1}), 1)
		return id
	},
	"settled": func(t *testing.T, database *testdb.DB, d *db.DB) minoots.ID {
		f := fire(t, d, 1, 1)
		record(t, d, []bool{true}, running(t, database, f))
		return f.ID
	},
	"failed": func(t *testing.T, database *testdb.DB, d *db.DB) minoots.ID {
		f := fire(t, d, 1, 1)
		r := running(t, database, f)
		r.Outcome = failed("gone")
		record(t, d, []bool{true}, r)
		return f.ID
	},
	"failed at its fire": func(t *testing.T, _ *testdb.DB, d *db.DB) minoots.ID {
		id := create(t, d, timerAt(past(d), 1, 1))[0]
		_, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 1}, then(func(tx db.Tx, fired []db.Fired) error {
			return db.FiringFail(t.Context(), tx, fired[0].ID, fired[0].Occurrence, fired[0].DueAt, "no jobs")
		}))
		require.NoError(t, err)
		return id
	},
	"skipped": func(t *testing.T, _ *testdb.DB, d *db.DB) minoots.ID {
		n := timerAt(d.Clock().Now().Add(time.Hour), 1, 1)
		n.Spec.Misfire = &minoots.Misfire{Policy: minoots.MisfireSkip}
		create(t, d, n)
		require.Empty(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: n.Spec.FireAt.Add(time.Hour)}))
		return n.ID
	},
	"resumed to the end of its schedule": func(t *testing.T, database *testdb.DB, d *db.DB) minoots.ID {
		n := every(time.Minute, 0)
		once := 1
		n.Spec.Recurrence.MaxOccurrences = &once
		created, err := d.TimerCreate(t.Context(), []db.NewTimer{n})
		require.NoError(t, err)
		_, err = d.TimerPause(t.Context(), tenant, n.ID)
		require.NoError(t, err)
		_, err = database.Pool.Exec(t.Context(), `UPDATE minoots.timer_states SET fire_at = fire_at - interval '2 hours',
			held_due_at = held_due_at - interval '2 hours', paused_at = paused_at - interval '3 hours' WHERE id = $1`, n.ID)
		require.NoError(t, err)
		_, err = d.TimerResume(t.Context(), tenant, created[0].Timer.ID, minoots.ResumeSkip)
		require.NoError(t, err)
		return n.ID
	},
	"the last of its schedule": func(t *testing.T, _ *testdb.DB, d *db.DB) minoots.ID {
		n := every(time.Minute, 0)
		once := 1
		n.Spec.Recurrence.MaxOccurrences = &once
		created, err := d.TimerCreate(t.Context(), []db.NewTimer{n})
		require.NoError(t, err)
		require.Len(t, claim(t, d, db.ClaimRequest{Limit: 1, Now: created[0].Timer.FireAt.Time}), 1)
		return n.ID
	},
}

// However a timer ends, those of whose tenants requests wait are told, and nobody
// is if only others wait, or did.
func TestTimersOverAreTold(t *testing.T) {
	t.Parallel()
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, d := setup(t)
			e := hear(t, database.URL)
			require.NoError(t, d.WaitingRenew(t.Context(), []string{"somebody-else"}))
			_, err := database.Pool.Exec(t.Context(), "INSERT INTO minoots.waiting (tenant_id, until) VALUES ($1, now() - interval '1 second')", tenant)
			require.NoError(t, err)
			id := end(t, database, d)
			require.True(t, get(t, d, id).Status.Terminal())
			ids, more := e.told(database)
			assert.Empty(t, ids)
			assert.False(t, more)

			require.NoError(t, d.WaitingRenew(t.Context(), []string{tenant}))
			id = end(t, database, d)
			require.True(t, get(t, d, id).Status.Terminal())
			ids, more = e.told(database)
			assert.Equal(t, []minoots.ID{id}, ids)
			assert.False(t, more)
		})
	}
}

// What does not end a timer is not told, and neither is what is rolled back.
func TestTimersNotOverAreNotTold(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	e := hear(t, database.URL)
	require.NoError(t, d.WaitingRenew(t.Context(), []string{tenant}))
	id := create(t, d, timerAt(d.Clock().Now().Add(time.Hour), 1, 1))[0]
	_, err := d.TimerPause(t.Context(), tenant, id)
	require.NoError(t, err)
	_, err = d.TimerResume(t.Context(), tenant, id, minoots.ResumeShift)
	require.NoError(t, err)
	fire(t, d, 1, 1)
	tx, err := database.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT minoots.cancel($1, $2)", tenant, id)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(t.Context()))
	ids, more := e.told(database)
	assert.Empty(t, ids)
	assert.False(t, more)
}

// A statement that ends very many says so in a bounded number of words.
func TestVeryManyTimersOver(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	e := hear(t, database.URL)
	require.NoError(t, d.WaitingRenew(t.Context(), []string{tenant}))
	const named = 4000
	for n, more := range map[int]bool{1: false, 200: false, 201: false, named: false, named + 1: true, 3 * named: true} {
		_, err := database.Pool.Exec(t.Context(), "DELETE FROM minoots.timer_states")
		require.NoError(t, err)
		want := make([]minoots.ID, n)
		for i := range want {
			want[i] = minoots.NewID()
		}
		_, err = database.Pool.Exec(t.Context(), `INSERT INTO minoots.timer_states (id, tenant_id, fire_at, due_at, updated_at)
			SELECT id, $2, now(), now(), now() FROM unnest($1::uuid[]) AS id`, want, tenant)
		require.NoError(t, err)
		_, err = database.Pool.Exec(t.Context(), "UPDATE minoots.timer_states SET status = 'cancelled', cancelled_at = now(), due_at = NULL")
		require.NoError(t, err)
		ids, others := e.told(database)
		assert.Equal(t, more, others, n)
		assert.Len(t, ids, min(n, named))
		assert.Subset(t, want, ids)
	}
}

// Rows last for as long as is promised, are not written more often than that needs,
// and go when nobody waits any more.
func TestWaitingRenew(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	rows := func() string {
		var all string
		require.NoError(t, database.Pool.QueryRow(t.Context(), `
			SELECT coalesce(string_agg(tenant_id || ':' || xmin, ' ' ORDER BY tenant_id), '') FROM minoots.waiting
			WHERE until > now() + $1::float8 * interval '1 second' - interval '5 seconds'`, db.WaitingKept.Seconds()).Scan(&all))
		return all
	}
	require.NoError(t, d.WaitingRenew(t.Context(), []string{"b", "a"}))
	first := rows()
	assert.Len(t, strings.Fields(first), 2)
	require.NoError(t, d.WaitingRenew(t.Context(), []string{"a", "b"}))
	assert.Equal(t, first, rows(), "it would last")
	_, err := database.Pool.Exec(t.Context(), "UPDATE minoots.waiting SET until = now() + interval '1 second'")
	require.NoError(t, err)
	require.NoError(t, d.WaitingRenew(t.Context(), []string{"a", "b"}))
	assert.Len(t, strings.Fields(rows()), 2, "it would not have")
	_, err = database.Pool.Exec(t.Context(), "UPDATE minoots.waiting SET until = now() - interval '2 minutes'")
	require.NoError(t, err)
	require.NoError(t, d.WaitingRenew(t.Context(), []string{"b"}))
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.waiting"))
}

// A session without a kernel takes no seat, hears nothing else, and comes back.
func TestSessionOfAnEar(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	e := hear(t, database.URL)
	assert.Zero(t, count(t, database, "SELECT count(*)"+seatsTaken))
	k := listen(t, database.URL, "kernel")
	k.sits(0)
	assert.Equal(t, 1, count(t, database, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE application_name = 'minoots-listen-ear' AND datname = current_database()`))
	assert.False(t, next(t, e.on))
	assert.True(t, next(t, e.on))
	id := minoots.NewID()
	for payload, want := range map[string]word{
		id.String():                     {[]minoots.ID{id}, false},
		id.String() + "," + id.String(): {[]minoots.ID{id, id}, false},
		id.String() + ",+":              {[]minoots.ID{id}, true},
		"+":                             {nil, true},
		"":                              {nil, true},
		"who?":                          {nil, true},
	} {
		_, err := database.Pool.Exec(t.Context(), "SELECT pg_notify('minoots_due', '1'), pg_notify('minoots_over', $1)", payload)
		require.NoError(t, err)
		assert.Equal(t, want, next(t, e.over), "%q", payload)
	}
}
