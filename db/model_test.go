package db_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// modelFor bounds TestModel: go test ./db -run Model -model 10m -rapid.checks 1000000.
var modelFor = flag.Duration("model", 4*time.Second, "how long TestModel looks for a difference")

// TestModel does whatever may happen to timers, in any order: they are made,
// changed, paused, cancelled and fired, workers record, crash and come back too late, connections
// break in the commit. After each step the database is where the model is, and
// at the end an audit finds nothing. rapid shrinks what it finds.
func TestModel(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	p := newProxy(t, database)
	broken := connect(t, p.URL)
	deadline, failing, runs := time.Now().Add(*modelFor), false, 0
	rapid.Check(t, func(rt *rapid.T) {
		if time.Now().After(deadline) && !failing {
			return
		}
		done := false
		defer func() { failing = failing || !done }() // what fails is shrunk, however long it takes
		w := &modelWorld{database: database, d: d, broken: broken, proxy: p, ids: map[string]minoots.ID{}}
		w.reset(rt)
		if rapid.Bool().Draw(rt, "begin with something under way") {
			w.createOne(rt, -1)
			w.createOne(rt, -1)
			_, err := w.fires(d, 2, "", nil)
			require.NoError(rt, err)
			w.claim(2, "")
		}
		rt.Repeat(w.operations())
		w.audit(rt)
		done = true
		runs++
	})
	t.Log(runs, "runs")
}

// modelWorld is the model and the database, side by side.
type modelWorld struct {
	model
	database *testdb.DB
	d        *db.DB
	broken   *db.DB // through the proxy
	proxy    *proxy
	base     time.Time
	ids      map[string]minoots.ID
	hand     []*inHand
}

func (w *modelWorld) operations() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":               w.compare,
		"create":         w.doCreate,
		"time passes":    func(t *rapid.T) { w.now += rapid.IntRange(1, 60).Draw(t, "ms") * 1000 },
		"cancel":         w.doCancel,
		"change":         w.doChange,
		"change more":    w.doChange, // there are many kinds
		"change or fire": w.doChangeRace,
		"miss":           w.doMiss,
		"claim":          w.doClaim,
		"claim here":     w.doClaimHere,
		"claim twice":    w.doClaims,
		"cancel or fire": w.doRace,
		"fetch":          w.doFetch,
		"fetch more":     w.doFetch, // else there is little to record
		"record":         w.doRecord,
		"record more":    w.doRecord,
		"lose a worker":  func(t *rapid.T) { w.lose(t, w.aJob(t, "running")) },
		"redeliver":      w.doRedeliver,
		"redrive":        w.doRedrive,
	}
}

func (w *modelWorld) reset(t *rapid.T) {
	_, err := w.database.Pool.Exec(context.Background(), `
		WITH a AS (DELETE FROM minoots.timers), b AS (DELETE FROM minoots.timer_states), c AS (DELETE FROM minoots.firings),
			e AS (DELETE FROM minoots.attempts), f AS (DELETE FROM minoots.events), g AS (DELETE FROM minoots.idempotency_keys),
			h AS (DELETE FROM minoots.dead_letters)
		DELETE FROM river.river_job`)
	require.NoError(t, err)
	w.keys = map[string]modelKey{}
	// Ahead of the clock, so that the run decides what is due.
	w.base = w.d.Clock().Now().Add(time.Hour).Truncate(time.Second)
}

func (w *modelWorld) at() time.Time { return w.base.Add(time.Duration(w.now) * time.Microsecond) }

func (w *modelWorld) compare(t *rapid.T) {
	var got string
	require.NoError(t, w.database.Pool.QueryRow(context.Background(), modelSQL).Scan(&got))
	require.Equal(t, w.String(), got)
}

func (w *modelWorld) audit(t *rapid.T) {
	a, err := w.d.AuditRun(context.Background(), db.AuditRequest{Grace: -3 * time.Hour})
	require.NoError(t, err)
	found := findings(a)
	delete(found, "timer_overdue") // time is the run's own
	require.Empty(t, found)
}

func (w *modelWorld) doCreate(t *rapid.T) {
	w.createOne(t, rapid.IntRange(-20, 60).Draw(t, "in ms"))
}

func (w *modelWorld) createOne(t *rapid.T, ms int) {
	n := len(w.timers) + 1
	timer := &modelTimer{
		name: fmt.Sprint("t", n), actions: rapid.IntRange(0, 4).Draw(t, "actions"), concurrency: rapid.IntRange(1, 3).Draw(t, "concurrency"),
		due: w.now + ms*1000 + n, // no two at once
	}
	if timer.actions > 0 && rapid.Bool().Draw(t, "a rich bundle") {
		timer.escalates, timer.stops, timer.compensates = rapid.Bool().Draw(t, "escalates"), rapid.Bool().Draw(t, "stops"), rapid.Bool().Draw(t, "compensates")
	}
	key := rapid.SampledFrom([]string{"", "", "", "k1", "k2"}).Draw(t, "key")
	fingerprint := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "fingerprint")
	spec := timerAt(w.base.Add(time.Duration(timer.due)*time.Microsecond), timer.actions, timer.concurrency)
	timer.enrich(spec.Spec.ActionBundle)
	spec.Spec.Name, spec.IdempotencyKey, spec.Fingerprint = timer.name, key, []byte(fingerprint)
	created, err := w.d.TimerCreate(context.Background(), []db.NewTimer{spec})
	require.NoError(t, err)
	known, again := w.keys[key]
	switch {
	case again && known.fingerprint != fingerprint:
		require.Equal(t, minoots.CodeConflict, minoots.ErrorCode(created[0].Err))
	case again:
		require.True(t, created[0].Replayed)
		require.Equal(t, known.timer, created[0].Timer.Name)
	default:
		require.NoError(t, created[0].Err)
		require.False(t, created[0].Replayed)
		w.create(timer)
		w.ids[timer.name] = spec.ID
		if key != "" {
			w.keys[key] = modelKey{timer.name, fingerprint}
		}
	}
}

// aTimer draws one that is there.
func (w *modelWorld) aTimer(t *rapid.T) *modelTimer {
	if len(w.timers) == 0 {
		t.Skip("no timer")
	}
	return w.timers[rapid.IntRange(0, len(w.timers)-1).Draw(t, "timer")]
}

func (w *modelWorld) doCancel(t *rapid.T) {
	timer := w.aTimer(t)
	got, err := w.d.TimerCancel(context.Background(), tenant, w.ids[timer.name], nil, nil)
	if _, conflict := w.cancel(timer); conflict {
		require.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
		return
	}
	require.NoError(t, err)
	require.Equal(t, timer.status, string(got.Status))
}

// firesHere is the fire transaction as the kernel makes it beside workers: the
// first jobs, up to so many, are inserted as running on this replica.
func (w *modelWorld) firesHere(limit, here int) ([]db.Fired, *db.JobBatch, error) {
	jobs := &db.JobBatch{Replica: "replica"}
	fired, err := w.d.TimerClaim(context.Background(), db.ClaimRequest{Limit: limit, Now: w.at()}, func(_ context.Context, _ db.Tx, fired []db.Fired) (*db.JobBatch, error) {
		for _, delivery := range firstDeliveries(fired) {
			args, err := json.Marshal(delivery)
			if err != nil {
				return nil, err
			}
			jobs.Jobs = append(jobs.Jobs, db.Job{Queue: "webhook", MaxAttempts: 5, Args: args, Here: len(jobs.Jobs) < here})
		}
		return jobs, nil
	})
	return fired, jobs, err
}

// doClaimHere fires, and the workers beside the kernel begin at once.
func (w *modelWorld) doClaimHere(t *rapid.T) {
	limit := rapid.IntRange(1, 4).Draw(t, "limit")
	before, here := len(w.jobs), rapid.IntRange(0, 4).Draw(t, "here")
	fired, batch, err := w.firesHere(limit, here)
	require.NoError(t, err)
	require.Equal(t, w.claim(limit, ""), len(fired))
	begun := w.jobs[before:]
	require.Len(t, batch.Jobs, len(begun))
	for i, j := range begun[:min(here, len(begun))] {
		j.state, j.attempt = "running", 1
		w.take(t, j, batch.Jobs[i].ID, batch.Jobs[i].Args, true)
	}
}

// fires is the fire transaction with a fate.
func (w *modelWorld) fires(d *db.DB, limit int, refused string, fail error) (int, error) {
	fired, err := d.TimerClaim(context.Background(), db.ClaimRequest{Limit: limit, Now: w.at()}, then(func(tx db.Tx, fired []db.Fired) error {
		var all []db.Fired
		for _, f := range fired {
			if f.Name != refused || f.Actions == 0 {
				all = append(all, f)
			} else if err := db.FiringFail(context.Background(), tx, f.ID, f.Occurrence, f.DueAt, "no job can be made"); err != nil {
				return err
			}
		}
		return errors.Join(insertJobs(context.Background(), tx, firstDeliveries(all)), fail)
	}))
	return len(fired), err
}

func (w *modelWorld) doClaim(t *rapid.T) {
	limit := rapid.IntRange(1, 4).Draw(t, "limit")
	due := w.due(limit)
	fate := rapid.SampledFrom([]string{"", "", "", "refused", "rolled back", "cut before the commit", "cut after it"}).Draw(t, "fate")
	if len(due) == 0 {
		fate = "" // and nothing to commit
	}
	refused := ""
	switch fate {
	case "rolled back":
		_, err := w.fires(w.d, limit, "", errors.New("boom"))
		require.ErrorContains(t, err, "boom")
		return
	case "cut before the commit", "cut after it":
		done := w.proxy.cutNext(fate == "cut after it")
		_, err := w.fires(w.broken, limit, "", nil)
		require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
		<-done
		if fate == "cut after it" {
			w.claim(limit, "")
			return
		}
		// Until the server has noticed, it holds the rows, and claims step over them.
		_, err = w.database.Pool.Exec(context.Background(), "SELECT FROM minoots.timer_states FOR UPDATE")
		require.NoError(t, err)
		return
	case "refused":
		refused = due[0].name
	}
	fired, err := w.fires(w.d, limit, refused, nil)
	require.NoError(t, err)
	require.Equal(t, w.claim(limit, refused), fired)
}

// doClaims is two kernels that wake at once: neither waits, and none fires twice.
func (w *modelWorld) doClaims(t *rapid.T) {
	limit := rapid.IntRange(1, 3).Draw(t, "limit")
	var g errgroup.Group
	var fired [2]int
	for i := range fired {
		g.Go(func() (err error) { fired[i], err = w.fires(w.d, limit, "", nil); return err })
	}
	require.NoError(t, g.Wait())
	require.Equal(t, w.claim(2*limit, ""), fired[0]+fired[1])
}

// doRace cancels while a kernel fires: one of them wins, and the other sees it.
func (w *modelWorld) doRace(t *rapid.T) {
	timer := w.aTimer(t)
	var g errgroup.Group
	var fired int
	var cancelErr error
	g.Go(func() (err error) { fired, err = w.fires(w.d, 10, "", nil); return err })
	g.Go(func() error {
		_, cancelErr = w.d.TimerCancel(context.Background(), tenant, w.ids[timer.name], nil, nil)
		return nil
	})
	require.NoError(t, g.Wait())
	if was := timer.status; minoots.ErrorCode(cancelErr) == minoots.CodeConflict || timer.actions == 0 && was == "scheduled" && w.settled(t, timer) {
		require.Equal(t, w.claim(10, ""), fired)
		w.cancel(timer)
		return
	}
	require.NoError(t, cancelErr)
	w.cancel(timer)
	require.Equal(t, w.claim(10, ""), fired)
}

// settled tells whether a timer without actions has fired.
func (w *modelWorld) settled(t *rapid.T, timer *modelTimer) bool {
	got, err := w.d.TimerGet(context.Background(), tenant, w.ids[timer.name])
	require.NoError(t, err)
	return got.Status == minoots.StatusSettled
}
