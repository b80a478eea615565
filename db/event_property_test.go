package db_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// writeEvents is a transaction as none of ours is, but those of users may be: it
// has its number long before it waits for its locks, writes events of some timers,
// takes some of it back, dawdles, and may roll back. Each event carries the
// version of its timer, which is the order in which they happened.
func writeEvents(ctx context.Context, pool *pgxpool.Pool, rnd *rand.Rand, ids []minoots.ID) error {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if rnd.IntN(2) == 0 {
		if _, err := tx.Exec(ctx, "SELECT pg_current_xact_id(), pg_sleep($1)", rnd.Float64()/50); err != nil {
			return err
		}
	}
	some := slices.Clone(ids)
	rnd.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	some = some[:1+rnd.IntN(3)]
	slices.SortFunc(some, func(a, b minoots.ID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range some {
		if err := writeEvent(ctx, tx, id); err != nil {
			return err
		}
		if rnd.IntN(3) == 0 { // a subtransaction that stays, or does not
			sub, err := tx.Begin(ctx)
			if err != nil {
				return err
			}
			if err := writeEvent(ctx, sub, id); err != nil {
				return err
			}
			end := sub.Commit
			if rnd.IntN(2) == 0 {
				end = sub.Rollback
			}
			if err := end(ctx); err != nil {
				return err
			}
		}
	}
	if _, err := tx.Exec(ctx, "SELECT pg_sleep($1)", rnd.Float64()/50); err != nil {
		return err
	}
	if rnd.IntN(5) == 0 {
		return tx.Rollback(ctx)
	}
	return tx.Commit(ctx)
}

func writeEvent(ctx context.Context, tx pgx.Tx, id minoots.ID) error {
	_, err := tx.Exec(ctx, `
		WITH changed AS (UPDATE minoots.timer_states SET version = version + 1 WHERE id = $1 RETURNING id, tenant_id, version)
		INSERT INTO minoots.events (timer_id, tenant_id, type, data)
		SELECT id, tenant_id, 'timer.updated', json_build_object('version', version) FROM changed`, id)
	return err
}

// logReader is what a reader has had.
type logReader struct {
	seqs     map[int64]bool
	versions map[minoots.ID]int64
	problems []string
}

func newLogReader() *logReader {
	return &logReader{seqs: map[int64]bool{}, versions: map[minoots.ID]int64{}}
}

func (h *logReader) hear(e *db.LogEvent) {
	if h.seqs[e.Seq] {
		h.problems = append(h.problems, "repeated "+e.ID)
	}
	h.seqs[e.Seq] = true
	var data struct{ Version int64 }
	if e.Type != minoots.EventTimerUpdated {
		return
	}
	if err := json.Unmarshal(e.Data, &data); err != nil || data.Version <= h.versions[e.TimerID] {
		h.problems = append(h.problems, "out of order "+e.ID)
	}
	h.versions[e.TimerID] = data.Version
}

// readEvents reads in pages of random sizes, now and then giving up in the middle
// of one and going on from an event's cursor, as text.
func readEvents(ctx context.Context, d *db.DB, rnd *rand.Rand, from db.EventCursor, h *logReader, over func() bool) error {
	for at := from; ; {
		last := over() // before the page: what is committed by now it will have
		page, err := d.EventPage(ctx, db.EventRequest{After: at, Limit: 1 + rnd.IntN(60)})
		if err != nil {
			return err
		}
		n, next := len(page.Events), page.Next
		if n > 0 && rnd.IntN(3) == 0 {
			n = 1 + rnd.IntN(n)
			next = page.Cursor(n - 1)
		}
		for i := range page.Events[:n] {
			h.hear(&page.Events[i])
		}
		for i := range page.Events {
			if !page.Cursor(i).Sees(&page.Events[i]) || i+1 < len(page.Events) && page.Cursor(i).Sees(&page.Events[i+1]) {
				h.problems = append(h.problems, "a cursor does not stand behind its event")
			}
		}
		parsed, err := db.ParseEventCursor(next.String())
		if err != nil {
			return err
		}
		if parsed.Compare(next) != 0 || parsed.Compare(at) < 0 {
			h.problems = append(h.problems, "a cursor went back")
		}
		if last && n == len(page.Events) && !page.More {
			return nil
		}
		at = parsed
	}
}

// No reader of the log skips or repeats an event, and each timer's come in order,
// however the transactions that write them overlap, and beside one that stays
// open all the time.
func TestEventsAreNeverSkipped(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var timers []db.NewTimer
	for range 12 {
		timers = append(timers, timerAt(d.Clock().Now().Add(time.Hour), 0, 1))
	}
	ids := create(t, d, timers...)
	start := oldest(t, d)
	// Marks, too, shall have their part.
	_, err := database.Pool.Exec(t.Context(), `CREATE TRIGGER often AFTER INSERT ON minoots.events
		FOR EACH ROW WHEN (NEW.seq % 8 = 0 AND NEW.seq % 1024 <> 0) EXECUTE FUNCTION minoots.mark_events()`)
	require.NoError(t, err)

	long := direct(t, database.URL)
	open, err := long.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, writeEvent(t.Context(), open, ids[0]))
	ids = ids[1:]

	pool, err := pgxpool.New(t.Context(), database.URL+"&pool_max_conns=12")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	const readers = 5
	var written, stopped atomic.Int64
	var progress atomic.Int64 // of the readers, beside the open transaction
	var write, read errgroup.Group
	for i := range 10 {
		rnd := rand.New(rand.NewPCG(uint64(i), 7))
		write.Go(func() error {
			for written.Add(1) < 900 || progress.Load() < readers {
				if err := writeEvents(ctx, pool, rnd, ids); err != nil {
					return err
				}
			}
			return nil
		})
	}
	over := func() bool { return stopped.Load() > 0 }
	all := make([]*logReader, readers)
	for i := range all {
		rnd := rand.New(rand.NewPCG(uint64(i), 8))
		all[i] = newLogReader()
		reader := connect(t, database.URL)
		read.Go(func() error {
			moved := false
			return readEvents(ctx, reader, rnd, start, all[i], func() bool {
				if !moved && len(all[i].seqs) > 500 {
					moved = true
					progress.Add(1)
				}
				return over()
			})
		})
	}
	// The negative twin: a reader that goes by seq alone.
	naive := map[int64]bool{}
	read.Go(func() error {
		for last, done := int64(0), false; !done; {
			done = over()
			rows, err := pool.Query(t.Context(), "SELECT seq FROM minoots.events WHERE seq > $1 ORDER BY seq", last)
			if err != nil {
				return err
			}
			seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			if err != nil {
				return err
			}
			for _, last = range seqs {
				naive[last] = true
			}
		}
		return nil
	})
	require.NoError(t, write.Wait())
	require.EqualValues(t, readers, progress.Load(), "an open transaction holds up no reader")
	require.NoError(t, writeEvent(t.Context(), open, ids[0])) // after all others of that timer
	require.NoError(t, open.Commit(t.Context()))
	stopped.Store(1)
	require.NoError(t, read.Wait())

	rows, err := pool.Query(t.Context(), "SELECT seq FROM minoots.events")
	require.NoError(t, err)
	seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	marks := count(t, database, "SELECT count(*) FROM minoots.event_marks")
	t.Logf("%d events, %d marks; the naive reader missed %d", len(seqs), marks, len(seqs)-len(naive))
	for i, h := range all {
		assert.Empty(t, h.problems, "reader %d", i)
		assert.Len(t, h.seqs, len(seqs), "reader %d", i)
		for _, seq := range seqs {
			assert.True(t, h.seqs[seq], "reader %d skipped %d", i, seq)
		}
	}
	assert.Less(t, len(naive), len(seqs), "the writers give a naive reader something to miss")
	assert.Positive(t, marks)

	late := newLogReader() // catches up over all of it, by the marks
	require.NoError(t, readEvents(t.Context(), d, rand.New(rand.NewPCG(1, 1)), start, late, func() bool { return true }))
	assert.Empty(t, late.problems)
	assert.Len(t, late.seqs, len(seqs))
}
