package db_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// labelled are timers with a name and a label, due at an instant.
func labelled(t *testing.T, d *db.DB, n int, due time.Time, name, label string) []minoots.ID {
	t.Helper()
	timers := make([]db.NewTimer, n)
	for i := range timers {
		timers[i] = timerAt(due, 1, 1)
		timers[i].Spec.Name, timers[i].Spec.Labels = fmt.Sprintf("%s-%d", name, i), map[string]string{"set": label}
	}
	return create(t, d, timers...)
}

func auditedBulk(t *testing.T, d *db.DB) {
	t.Helper()
	a, err := d.AuditRun(t.Context(), db.AuditRequest{Grace: time.Hour})
	require.NoError(t, err)
	assert.Empty(t, findings(a))
}

// Of a cancel of many, a pause of many, claims and another such cancel, each timer
// is won by one, and all that they say they did adds up.
func TestBulkAgainstClaims(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	const timers = 6000 // several batches of each
	labelled(t, d, timers, past(d), "storm", "a")
	others := labelled(t, d, 10, past(d).Add(time.Hour), "calm", "b")
	var g errgroup.Group
	var fired, cancelled, paused, cancelsMatched atomic.Int64
	start := make(chan struct{})
	for range 2 {
		replica := connect(t, database.URL)
		g.Go(func() error {
			<-start
			for {
				got, err := replica.TimerClaim(t.Context(), db.ClaimRequest{Limit: 300}, then(func(tx db.Tx, fired []db.Fired) error {
					return insertJobs(t.Context(), tx, firstDeliveries(fired))
				}))
				if err != nil || len(got) == 0 {
					return err
				}
				fired.Add(int64(len(got)))
			}
		})
	}
	filter := db.TimerFilter{Labels: map[string]string{"set": "a"}}
	for range 2 {
		replica := connect(t, database.URL)
		g.Go(func() error {
			<-start
			done, err := replica.TimerBulk(t.Context(), tenant, db.BulkCancel(nil, nil), db.BulkRequest{Filter: filter, Limit: db.BulkMost})
			cancelled.Add(int64(done.Changed))
			cancelsMatched.Add(int64(done.Matched))
			return err
		})
	}
	g.Go(func() error {
		<-start
		done, err := d.TimerBulk(t.Context(), tenant, db.BulkPause(), db.BulkRequest{Filter: db.TimerFilter{NamePrefix: "storm-1"}, Limit: db.BulkMost})
		paused.Add(int64(done.Changed))
		return err
	})
	close(start)
	require.NoError(t, g.Wait())
	t.Log("fired", fired.Load(), "cancelled", cancelled.Load(), "of", cancelsMatched.Load(), "paused", paused.Load())
	assert.EqualValues(t, cancelled.Load(), count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.cancelled'"))
	assert.EqualValues(t, cancelled.Load(), count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE status = 'cancelled'"))
	assert.EqualValues(t, paused.Load(), count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.paused'"))
	assert.EqualValues(t, fired.Load(), count(t, database, "SELECT count(*) FROM minoots.firings"))
	assert.Equal(t, timers, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE status IN ('cancelled', 'fired', 'paused', 'scheduled') AND id <> ALL ($1)", others))
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE status = 'cancelled' AND occurrence > 0"), "cancelled and fired")
	for _, id := range others {
		assert.Equal(t, minoots.StatusScheduled, get(t, d, id).Status)
	}
	auditedBulk(t, d)
}

// A patch that takes a timer out of the filter while a bulk waits for its row wins.
func TestBulkLeavesWhatIsPatchedMeanwhile(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	ids := labelled(t, d, 3, past(d).Add(time.Hour), "x", "a")
	tx, err := database.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE minoots.timer_states SET version = 2, patched = 2 WHERE id = $1", ids[1])
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `UPDATE minoots.timers SET labels = '{"set": "b"}', patched = 2 WHERE id = $1`, ids[1])
	require.NoError(t, err)
	result := make(chan db.Bulk)
	go func() {
		done, err := d.TimerBulk(t.Context(), tenant, db.BulkCancel(nil, nil),
			db.BulkRequest{Filter: db.TimerFilter{Labels: map[string]string{"set": "a"}}, Limit: 10})
		assert.NoError(t, err)
		result <- done
	}()
	require.Eventually(t, func() bool {
		return count(t, database, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, tx.Commit(t.Context()))
	done := <-result
	assert.Equal(t, 3, done.Matched)
	assert.Equal(t, 2, done.Changed)
	assert.Equal(t, minoots.StatusScheduled, get(t, d, ids[1]).Status)
}

func TestBulkReschedule(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	base := d.Clock().Now().Add(time.Hour).Truncate(time.Microsecond)
	ids := labelled(t, d, 5, base, "x", "a")
	_, err := d.TimerPause(t.Context(), tenant, ids[4])
	require.NoError(t, err)
	_, err = database.Pool.Exec(t.Context(), "UPDATE minoots.timer_states SET due_at = due_at + interval '2 seconds' WHERE id = $1", ids[0])
	require.NoError(t, err)
	move := func(c *db.BulkChange, limit int, after minoots.ID) db.Bulk {
		done, err := d.TimerBulk(t.Context(), tenant, c, db.BulkRequest{Filter: db.TimerFilter{NamePrefix: "x-"}, Limit: limit, After: after})
		require.NoError(t, err)
		return done
	}
	later := minoots.Duration(30 * time.Minute)
	first := move(db.BulkReschedule(nil, &later), 3, minoots.ID{})
	assert.Equal(t, 3, first.Changed)
	require.NotZero(t, first.Next)
	second := move(db.BulkReschedule(nil, &later), 3, first.Next)
	assert.Equal(t, 2, second.Changed)
	assert.Zero(t, second.Next)
	for _, id := range ids {
		assert.True(t, get(t, d, id).FireAt.Equal(base.Add(30*time.Minute)), "each once")
	}
	assert.Equal(t, 2*time.Second, dueAt(t, database, ids[0]).Sub(base.Add(30*time.Minute)), "keeps its jitter")
	assert.Nil(t, dueAt(t, database, ids[4]), "stays paused")

	earlier := minoots.Duration(-10 * time.Hour)
	now := move(db.BulkReschedule(nil, &earlier), 10, minoots.ID{})
	assert.Equal(t, 5, now.Changed)
	assert.NotEmpty(t, now.DueAt, "the kernels are to be told")
	assert.False(t, get(t, d, ids[1]).FireAt.Before(base.Add(-time.Hour-time.Second)), "now, and not in the past")
	horizon := minoots.Duration(minoots.MaxHorizon)
	beyond := move(db.BulkReschedule(nil, &horizon), 10, minoots.ID{})
	assert.Equal(t, 5, beyond.Matched)
	assert.Equal(t, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE fire_at > now() + interval '90 years'"), beyond.Changed)
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE fire_at > now() + interval '876600 hours'"), "beyond the horizon")
	auditedBulk(t, d)
}

func TestBulkResume(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	labelled(t, d, 2500, past(d), "x", "a")
	all := db.BulkRequest{Filter: db.TimerFilter{Labels: map[string]string{"set": "a"}}, Limit: db.BulkMost}
	paused, err := d.TimerBulk(t.Context(), tenant, db.BulkPause(), all)
	require.NoError(t, err)
	require.Equal(t, 2500, paused.Changed)
	n, more, err := d.TimerBulkCount(t.Context(), tenant, db.BulkResume(minoots.ResumeFire), all.Filter)
	require.NoError(t, err)
	assert.Equal(t, 2500, n)
	assert.False(t, more)
	resumed, err := d.TimerBulk(t.Context(), tenant, db.BulkResume(minoots.ResumeFire), all)
	require.NoError(t, err)
	assert.Equal(t, 2500, resumed.Changed)
	assert.Len(t, resumed.DueAt, 2500)
	assert.Equal(t, 2500, count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE status = 'scheduled' AND due_at <= now()"))
	auditedBulk(t, d)
}

// Each filter finds what it says, in the plans for few and for many.
func TestFindingFindsTheSameEitherWay(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	base := d.Clock().Now().Add(time.Hour).Truncate(time.Second)
	a := labelled(t, d, 7, base, `od_d%name\`, "a")
	b := labelled(t, d, 5, base.Add(time.Minute), "oddXname", "b")
	for _, id := range []minoots.ID{a[0], b[0]} {
		_, err := d.TimerCancel(t.Context(), tenant, id, nil, nil)
		require.NoError(t, err)
	}
	_, err := d.TimerPause(t.Context(), tenant, a[1])
	require.NoError(t, err)
	for name, c := range map[string]struct {
		filter db.TimerFilter
		want   []minoots.ID
	}{
		"label":               {db.TimerFilter{Labels: map[string]string{"set": "a"}}, a},
		"escaped prefix":      {db.TimerFilter{NamePrefix: `od_d%name\-`}, a},
		"prefix, status":      {db.TimerFilter{NamePrefix: "od", Statuses: []minoots.Status{"cancelled"}}, []minoots.ID{a[0], b[0]}},
		"label, two statuses": {db.TimerFilter{Labels: map[string]string{"set": "a"}, Statuses: []minoots.Status{"paused", "cancelled"}}, a[:2]},
		"label, due":          {db.TimerFilter{NamePrefix: "od", DueAfter: base.Add(time.Second)}, b},
		"name":                {db.TimerFilter{Name: "oddXname-3"}, b[3:4]},
		"paused":              {db.TimerFilter{Statuses: []minoots.Status{"paused"}}, a[1:2]},
		"nobody's label":      {db.TimerFilter{Labels: map[string]string{"set": "c"}}, nil},
		"all":                 {db.TimerFilter{}, slices.Concat(a, b)},
	} {
		for _, few := range []int{100, 2} { // 2: more match, so that the tenant's are walked
			var got []minoots.ID
			req := db.TimerPageRequest{TimerFilter: c.filter, Limit: 3}
			for {
				page, err := db.TimerPageFew(d, t.Context(), tenant, req, few) //nolint:revive // a method expression
				require.NoError(t, err)
				for _, timer := range page {
					got = append(got, timer.ID)
				}
				if len(page) < 3 {
					break
				}
				req.After = db.TimerPosition{FireAt: page[2].FireAt.Time, ID: page[2].ID}
			}
			assert.ElementsMatch(t, c.want, got, "%s, %d", name, few)
		}
	}
}

// A batch of 10,000 is one statement, and with keys four.
func TestBatchStatements(t *testing.T) {
	t.Parallel()
	database, plain := setup(t)
	var statements atomic.Int64
	d, err := db.Counted(t.Context(), plain, &statements)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	timers := make([]db.NewTimer, minoots.MaxBatchTimers)
	for i := range timers {
		timers[i] = timerAt(d.Clock().Now().Add(time.Hour), 1, 1)
	}
	statements.Store(0)
	_, err = d.TimerCreateAll(t.Context(), timers)
	require.NoError(t, err)
	assert.EqualValues(t, 1, statements.Load())
	for i := range timers {
		timers[i].ID, timers[i].IdempotencyKey, timers[i].Fingerprint = minoots.NewID(), fmt.Sprint("key-", i), []byte("x")
	}
	_, err = d.TimerCreateAll(t.Context(), timers[:5000])
	require.NoError(t, err)
	statements.Store(0)
	created, err := d.TimerCreateAll(t.Context(), timers)
	require.NoError(t, err)
	assert.LessOrEqual(t, statements.Load(), int64(6), "begin, create, find the keys, commit, read")
	assert.True(t, created[0].Replayed && created[4999].Replayed && !created[5000].Replayed)
	assert.Equal(t, timers[4999].ID, created[4999].Timer.ID)
	require.Equal(t, 2*minoots.MaxBatchTimers, count(t, database, "SELECT count(*) FROM minoots.timers"))

	timers[9998].Fingerprint = []byte("y")
	fresh := timerAt(d.Clock().Now().Add(time.Hour), 1, 1)
	fresh.IdempotencyKey, fresh.Fingerprint = "fresh", []byte("x")
	_, err = d.TimerCreateAll(t.Context(), append(timers[9990:9999:9999], fresh))
	require.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
	require.Equal(t, 2*minoots.MaxBatchTimers, count(t, database, "SELECT count(*) FROM minoots.timers"), "nothing half done")
}
