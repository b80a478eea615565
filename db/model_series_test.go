package db_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// TestModelOfSeries does whatever may happen to recurring timers: time passes in
// small steps and in outages, kernels claim, alone and together, roll back and lose
// their connection in the commit, timers are paused, resumed and cancelled. After
// each step each timer has the firings that the model says, and stands where the
// model says. -model bounds it too.
func TestModelOfSeries(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	p := newProxy(t, database)
	broken := connect(t, p.URL)
	deadline, failing, runs := time.Now().Add(*modelFor), false, 0
	var now time.Time // of the last run: slots for catching up are given out in the order of time
	rapid.Check(t, func(rt *rapid.T) {
		if time.Now().After(deadline) && !failing {
			return
		}
		done := false
		defer func() { failing = failing || !done }()
		w := &seriesWorld{database: database, d: d, broken: broken, proxy: p, now: now}
		defer func() { now = w.now }()
		w.reset(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":              w.compare,
			"create":        w.create,
			"time passes":   func(t *rapid.T) { w.pass(rapid.IntRange(1, 3000).Draw(t, "ms")) },
			"an outage":     func(t *rapid.T) { w.pass(rapid.IntRange(1, 40).Draw(t, "s") * 1000) },
			"claim":         w.claim,
			"claim more":    w.claim,
			"claim twice":   w.claimTwice,
			"pause, resume": w.pauseOrResume,
			"cancel":        w.cancel,
		})
		a, err := d.AuditRun(context.Background(), db.AuditRequest{Grace: -1000 * time.Hour})
		require.NoError(rt, err)
		found := findings(a)
		delete(found, "timer_overdue") // time is the run's own
		require.Empty(rt, found)
		done = true
		runs++
	})
	t.Log(runs, "runs")
}

// seriesWorld is the model and the database. Its time is ahead of the server's, so
// that for pause and resume, which go by that, nothing was missed.
type seriesWorld struct {
	database *testdb.DB
	d        *db.DB
	broken   *db.DB
	proxy    *proxy
	now      time.Time
	series   []*modelSeries
}

// modelSeries is a recurring timer as the concepts describe it. Occurrence n is
// scheduled at first + (n-1)·every.
type modelSeries struct {
	id           minoots.ID
	first        time.Time
	every        time.Duration
	most         int // occurrences, 0 for no end
	policy       minoots.MisfirePolicy
	grace, limit time.Duration // limit is the lateness from which on nothing fires, 0 for none
	status       string
	occurrence   int
	due          time.Time // when a claim may take it
	catchesUp    bool      // due is a slot of the catching up, which the model does not compute
	firings      []string
}

func (s *modelSeries) at(n int) time.Time { return s.first.Add(time.Duration(n-1) * s.every) }
func (s *modelSeries) has(n int) bool     { return s.most == 0 || n <= s.most }

func (s *modelSeries) note(n int, status string) { s.noteAs(n, status, s.at(n)) }

func (s *modelSeries) noteAs(n int, status string, at time.Time) {
	s.firings = append(s.firings, fmt.Sprintf("%d %s %s", n, status, at.UTC().Format("2006-01-02T15:04:05.000000")))
	s.occurrence = n
}

// claim is what becomes of it at an instant; fires tells whether it did.
func (s *modelSeries) claim(now time.Time) (fires bool) {
	late := func(n int) time.Duration { return now.Sub(s.at(n)) }
	head := s.occurrence + 1
	last := head // that is due by now
	for s.has(last+1) && !s.at(last+1).After(now) {
		last++
	}
	missed := late(head) > s.grace
	var skipped []int
	for n := head; n <= last; n++ {
		skips := missed && (s.policy == minoots.MisfireFireOnce && n < last || s.policy == minoots.MisfireSkip && late(n) > s.grace) ||
			s.limit > 0 && late(n) > s.limit
		if !skips {
			break
		}
		skipped = append(skipped, n)
		head = n + 1
	}
	for i, n := range skipped {
		if i == 100 && n < head-1 { // one stands for the rest
			s.noteAs(head-1, "skipped", s.at(n))
			break
		}
		s.note(n, "skipped")
	}
	s.catchesUp = false
	if head <= last {
		fires = true
		s.note(head, "settled")
		s.catchesUp = s.policy == minoots.MisfireFireAll && late(head) > s.grace && head < last
	}
	if !s.has(s.occurrence + 1) {
		s.status = "settled"
		return fires
	}
	if s.due = s.at(s.occurrence + 1); s.due.Before(now) {
		s.due = now
	}
	return fires
}

func (w *seriesWorld) reset(t *rapid.T) {
	_, err := w.database.Pool.Exec(context.Background(), "TRUNCATE minoots.timers, minoots.timer_states, minoots.firings, minoots.events")
	require.NoError(t, err)
	if ahead := w.d.Clock().Now().Add(time.Hour); ahead.After(w.now) {
		w.now = ahead.Truncate(time.Microsecond)
	}
	w.pass(60_000)
}

func (w *seriesWorld) pass(ms int) { w.now = w.now.Add(time.Duration(ms) * time.Millisecond) }

func (w *seriesWorld) create(t *rapid.T) {
	s := &modelSeries{
		every:  time.Duration(rapid.IntRange(1, 4).Draw(t, "every")) * time.Second,
		most:   rapid.SampledFrom([]int{0, 0, 1, 2, 5, 20}).Draw(t, "most"),
		policy: rapid.SampledFrom([]minoots.MisfirePolicy{minoots.MisfireFireOnce, minoots.MisfireFireAll, minoots.MisfireSkip}).Draw(t, "policy"),
		grace:  time.Duration(rapid.SampledFrom([]int{1, 500, 5000, 60_000}).Draw(t, "grace")) * time.Millisecond,
		limit:  time.Duration(rapid.SampledFrom([]int{0, 0, 700, 12_000}).Draw(t, "limit")) * time.Millisecond,
		status: "scheduled",
	}
	n := every(s.every, 0)
	start := minoots.InstantOf(w.now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "in ms")) * time.Millisecond))
	n.Spec.Recurrence.StartAt = &start
	n.Spec.Misfire = &minoots.Misfire{Policy: s.policy, GraceMs: s.grace.Milliseconds(), MaxLatenessMs: s.limit.Milliseconds()}
	if s.most > 0 {
		n.Spec.Recurrence.MaxOccurrences = &s.most
	}
	created, err := w.d.TimerCreate(context.Background(), []db.NewTimer{n})
	require.NoError(t, err)
	require.NoError(t, created[0].Err)
	s.id, s.first, s.due = n.ID, start.Time, start.Time
	w.series = append(w.series, s)
}

// due lists what a claim takes.
func (w *seriesWorld) due() (all []*modelSeries) {
	for _, s := range w.series {
		if s.status == "scheduled" && !s.due.After(w.now) {
			all = append(all, s)
		}
	}
	return all
}

// claimed makes the model do so, and gives how many fire.
func (w *seriesWorld) claimed() (fired int) {
	for _, s := range w.due() {
		if s.claim(w.now) {
			fired++
		}
	}
	return fired
}

func (w *seriesWorld) claims(d *db.DB, limit int, fail error) (int, error) {
	fired, err := d.TimerClaim(context.Background(), db.ClaimRequest{Limit: limit, Now: w.now}, then(func(db.Tx, []db.Fired) error { return fail }))
	return len(fired), err
}

func (w *seriesWorld) claim(t *rapid.T) {
	fate := rapid.SampledFrom([]string{"", "", "", "rolled back", "cut before the commit", "cut after it"}).Draw(t, "fate")
	if len(w.due()) == 0 {
		fate = "" // there is nothing to commit
	}
	switch fate {
	case "cut before the commit", "cut after it":
		done := w.proxy.cutNext(fate == "cut after it")
		_, err := w.claims(w.broken, 1000, nil)
		require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
		<-done
		if fate == "cut after it" {
			w.claimed()
			return
		}
		// Until the server has noticed, it holds the rows.
		_, err = w.database.Pool.Exec(context.Background(), "SELECT FROM minoots.timer_states FOR UPDATE")
		require.NoError(t, err)
	case "rolled back":
		fired, err := w.claims(w.d, 1000, context.DeadlineExceeded)
		if fired > 0 { // with nothing to fire there is nobody to fail
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Zero(t, w.claimed())
	default:
		fired, err := w.claims(w.d, 1000, nil)
		require.NoError(t, err)
		require.Equal(t, w.claimed(), fired)
	}
}

// claimTwice is two kernels at once: each timer is one's. What the first has
// re-armed for now may be the second's once more, so that both look at instants at
// which no timer lags behind.
func (w *seriesWorld) claimTwice(t *rapid.T) {
	for _, s := range w.due() {
		if s.has(s.occurrence+2) && !s.at(s.occurrence+2).After(w.now) {
			t.Skip("a timer lags behind")
		}
	}
	var g errgroup.Group
	var fired [2]int
	for i := range fired {
		g.Go(func() (err error) { fired[i], err = w.claims(w.d, 1000, nil); return err })
	}
	require.NoError(t, g.Wait())
	require.Equal(t, w.claimed(), fired[0]+fired[1])
}

func (w *seriesWorld) one(t *rapid.T) *modelSeries {
	if len(w.series) == 0 {
		t.Skip("no timer")
	}
	return w.series[rapid.IntRange(0, len(w.series)-1).Draw(t, "timer")]
}

// pauseOrResume changes nothing but the status: for the server nothing was missed.
func (w *seriesWorld) pauseOrResume(t *rapid.T) {
	s := w.one(t)
	var err error
	if s.status == "scheduled" {
		_, err = w.d.TimerPause(context.Background(), tenant, s.id)
		s.status = "paused"
	} else {
		_, err = w.d.TimerResume(context.Background(), tenant, s.id, rapid.SampledFrom(minoots.ResumePolicies).Draw(t, "policy"))
		if s.status == "paused" {
			s.status = "scheduled"
		} else {
			require.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
			return
		}
	}
	require.NoError(t, err)
}

func (w *seriesWorld) cancel(t *rapid.T) {
	s := w.one(t)
	got, err := w.d.TimerCancel(context.Background(), tenant, s.id, nil, nil)
	require.NoError(t, err)
	if s.status != "settled" {
		s.status = "cancelled"
	}
	require.Equal(t, s.status, string(got.Status))
}

// compare holds the database to the model.
func (w *seriesWorld) compare(t *rapid.T) {
	ctx := context.Background()
	for _, s := range w.series {
		var status, history string
		var occurrence int
		var due *time.Time
		require.NoError(t, w.database.Pool.QueryRow(ctx, `
			SELECT status, occurrence, coalesce(due_at, held_due_at), coalesce((SELECT string_agg(format('%s %s %s', occurrence, status,
				to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')), E'\n' ORDER BY occurrence)
				FROM minoots.firings WHERE timer_id = s.id), '')
			FROM minoots.timer_states s WHERE id = $1`, s.id).Scan(&status, &occurrence, &due, &history))
		require.Equal(t, s.status, status)
		require.Equal(t, s.occurrence, occurrence)
		require.Equal(t, strings.Join(s.firings, "\n"), history)
		if slices.Contains([]string{"settled", "cancelled"}, status) {
			continue
		}
		require.NotNil(t, due)
		if s.catchesUp { // at a rate that is not the model's to know
			require.False(t, due.Before(w.now.Add(100*time.Millisecond)), "ten a second at most: %s, at %s", due, w.now)
			s.due, s.catchesUp = *due, false
		}
		require.True(t, s.due.Equal(*due), "due %s, and not %s", due, s.due)
	}
}
