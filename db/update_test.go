package db_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// timerNamed is a definition without a time.
func timerNamed(name string) minoots.TimerSpec { return minoots.TimerSpec{Name: name} }

func TestUpdate(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := timerAt(d.Clock().Now().Add(time.Hour), 1, 1)
	n.Spec.Name, n.Spec.RequestedBy, n.Spec.Labels = "before", "me", map[string]string{"a": "b"}
	create(t, d, n)
	before := get(t, d, n.ID)

	spec := timerAt(time.Time{}, 3, 2).Spec
	spec.FireAt, spec.Name, spec.Metadata = nil, "after", []byte(`{"x":1}`)
	spec.Misfire = &minoots.Misfire{Policy: minoots.MisfireFireOnce}
	changed, err := d.TimerUpdate(t.Context(), tenant, n.ID, db.TimerUpdate{Version: 1, Spec: spec, Fields: []string{"name", "actionBundle"}})
	require.NoError(t, err)
	got := changed.Timer
	assert.Zero(t, changed.DueAt, "its time is as it was")
	assert.Equal(t, got, get(t, d, n.ID))
	assert.EqualValues(t, 2, got.Version)
	assert.Equal(t, "after", got.Name)
	assert.Equal(t, "me", got.RequestedBy)
	assert.Empty(t, got.Labels)
	assert.Len(t, got.ActionBundle.Actions, 3)
	assert.Equal(t, before.FireAt, got.FireAt)
	assert.Equal(t, 1, count(t, database, `SELECT count(*) FROM minoots.events
		WHERE type = 'timer.updated' AND data::text = '{"by" : "patch", "fields" : ["name","actionBundle"]}'`))

	// A duration counts from now, with its jitter; an instant is the instant.
	minute := minoots.Duration(time.Minute)
	spec.Duration, spec.JitterMs = &minute, 1000
	changed, err = d.TimerUpdate(t.Context(), tenant, n.ID, db.TimerUpdate{Version: 2, Spec: spec, MovesDue: true, Occurrence: 1})
	require.NoError(t, err)
	assert.WithinDuration(t, d.Clock().Now().Add(time.Minute), changed.Timer.FireAt.Time, 10*time.Second)
	assert.Equal(t, minute, *changed.Timer.Duration)
	assert.Less(t, changed.DueAt.Sub(changed.Timer.FireAt.Time), time.Second)
	at := minoots.InstantOf(d.Clock().Now().Add(2 * time.Hour))
	spec.Duration, spec.FireAt, spec.JitterMs = nil, &at, 0
	changed, err = d.TimerUpdate(t.Context(), tenant, n.ID, db.TimerUpdate{Version: 3, Spec: spec, MovesDue: true, Occurrence: 1})
	require.NoError(t, err)
	assert.Nil(t, changed.Timer.Duration)
	assert.Equal(t, at, changed.Timer.FireAt)
	assert.True(t, changed.DueAt.Equal(at.Time))

	_, err = d.TimerUpdate(t.Context(), tenant, n.ID, db.TimerUpdate{Version: 3, Spec: spec})
	assert.Equal(t, minoots.CodeStale, minoots.ErrorCode(err))
	assert.ErrorContains(t, err, "version is 4")
	requireSound(t, d)
}

// What was left of a paused timer, or is left of its new time, counts on.
func TestUpdateOfAPausedTimer(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := timerAt(d.Clock().Now().Add(time.Hour), 1, 1)
	create(t, d, n)
	_, err := d.TimerPause(t.Context(), tenant, n.ID)
	require.NoError(t, err)
	elapse(t, database, n.ID, 24*time.Hour)
	changed, err := d.TimerUpdate(t.Context(), tenant, n.ID, db.TimerUpdate{Version: 2, Spec: timerNamed("x")})
	require.NoError(t, err)
	assert.Equal(t, minoots.StatusPaused, changed.Timer.Status)
	requireSound(t, d)
	resumed, err := d.TimerResume(t.Context(), tenant, n.ID, minoots.ResumeShift)
	require.NoError(t, err)
	assert.WithinDuration(t, d.Clock().Now().Add(time.Hour), resumed.DueAt, 10*time.Second)

	_, err = d.TimerPause(t.Context(), tenant, n.ID)
	require.NoError(t, err)
	elapse(t, database, n.ID, 24*time.Hour)
	half := minoots.Duration(30 * time.Minute)
	changed, err = d.TimerUpdate(t.Context(), tenant, n.ID, db.TimerUpdate{Version: 5, Spec: minoots.TimerSpec{Duration: &half}, MovesDue: true, Occurrence: 1})
	require.NoError(t, err)
	assert.Zero(t, changed.DueAt, "not while it is paused")
	requireSound(t, d)
	elapse(t, database, n.ID, 24*time.Hour)
	resumed, err = d.TimerResume(t.Context(), tenant, n.ID, minoots.ResumeShift)
	require.NoError(t, err)
	assert.WithinDuration(t, d.Clock().Now().Add(30*time.Minute), resumed.DueAt, 10*time.Second)
}

// Of changes that are built on one version, one wins, and the others are told.
func TestUpdatesAtOnce(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	n := timerAt(d.Clock().Now().Add(time.Hour), 0, 0)
	create(t, d, n)
	replicas := []*db.DB{d, connect(t, database.URL), connect(t, database.URL)}
	for version := range int64(20) {
		var won atomic.Int64
		var winner atomic.Value
		var g errgroup.Group
		for i := range 6 {
			g.Go(func() error {
				name := fmt.Sprint("by ", i)
				_, err := replicas[i%len(replicas)].TimerUpdate(t.Context(), tenant, n.ID, db.TimerUpdate{Version: version + 1, Spec: timerNamed(name)})
				if minoots.ErrorCode(err) == minoots.CodeStale {
					return nil
				}
				won.Add(1)
				winner.Store(name)
				return err
			})
		}
		require.NoError(t, g.Wait())
		require.EqualValues(t, 1, won.Load())
		require.Equal(t, winner.Load(), get(t, d, n.ID).Name)
	}
	assert.Equal(t, 20, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.updated'"))
}

// atTheHeels waits until one side of a race has come as far as the other. It polls:
// a signal would have the one step behind the other, where they are to collide.
func atTheHeels(near func() bool) {
	for !near() {
		time.Sleep(50 * time.Microsecond)
	}
}

// Timers are changed just before a kernel claims them: each fires once, as it was
// before the change or after it, and never as a half of each. (Without the
// condition on patched in timer_claim.sql, some fire with the new number of
// actions and the old bundle.)
func TestUpdateRacesWithClaim(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	const timers, lanes, batch = 1500, 3, 40
	base := d.Clock().Now().Add(-time.Hour).Truncate(time.Microsecond)
	var all []db.NewTimer
	for i := range timers {
		all = append(all, timerAt(base.Add(time.Duration(i)*time.Millisecond), 1, 1))
	}
	create(t, d, all...)
	var g errgroup.Group
	var fired, changed, late atomic.Int64
	var halves []db.Fired
	actions := map[minoots.ID]int{}
	g.Go(func() error {
		for fired.Load() < timers {
			atTheHeels(func() bool { return changed.Load()+late.Load() >= min(fired.Load()+batch/2, timers) })
			got, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: batch}, then(func(db.Tx, []db.Fired) error { return nil }))
			if err != nil {
				return err
			}
			for _, f := range got {
				actions[f.ID] = f.Actions
				if len(f.Bundle.Actions) != f.Actions {
					halves = append(halves, f)
				}
			}
			fired.Add(int64(len(got)))
		}
		return nil
	})
	var mu sync.Mutex
	won := map[minoots.ID]bool{}
	for lane := range lanes {
		changer := connect(t, database.URL)
		spec := timerAt(base, 2, 1).Spec
		spec.FireAt = nil
		g.Go(func() error {
			for i := lane; i < timers; i += lanes {
				atTheHeels(func() bool { return fired.Load() >= int64(i-batch) }) // near the next to be claimed
				_, err := changer.TimerUpdate(t.Context(), tenant, all[i].ID, db.TimerUpdate{Version: 1, Spec: spec})
				switch minoots.ErrorCode(err) {
				case "":
					changed.Add(1)
					mu.Lock()
					won[all[i].ID] = true
					mu.Unlock()
				case minoots.CodeConflict:
					late.Add(1)
				default:
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	t.Logf("%d changed, %d came too late", changed.Load(), late.Load())
	assert.Empty(t, halves, "fired with the new number of actions and the old bundle")
	assert.NotZero(t, changed.Load())
	assert.NotZero(t, late.Load())
	require.Len(t, actions, timers)
	for id, n := range actions {
		assert.Equal(t, won[id], n == 2, "who won a change fires with it")
	}
	assert.Equal(t, timers, count(t, database, "SELECT count(*) FROM minoots.firings"))
	requireSound(t, d)
}

// A timer that is moved to an instant that has passed is found by a sweep, and by
// a claim whose low-water mark the hint has lowered; a claim that begins above
// it does not see it.
func TestUpdateToThePastIsFound(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	for _, lowWater := range []time.Duration{0, time.Second} {
		n := timerAt(d.Clock().Now().Add(time.Hour), 0, 0)
		create(t, d, n)
		at := minoots.InstantOf(past(d))
		changed, err := d.TimerUpdate(t.Context(), tenant, n.ID, db.TimerUpdate{Version: 1, Spec: minoots.TimerSpec{FireAt: &at}, MovesDue: true, Occurrence: 1})
		require.NoError(t, err)
		assert.True(t, changed.DueAt.Equal(at.Time), "the hint")
		assert.Empty(t, claim(t, d, db.ClaimRequest{LowWater: at.Add(time.Second), Limit: 1}))
		low := time.Time{} // a sweep
		if lowWater > 0 {
			low = changed.DueAt.Add(-lowWater)
		}
		assert.Len(t, claim(t, d, db.ClaimRequest{LowWater: low, Limit: 1}), 1)
	}
}
