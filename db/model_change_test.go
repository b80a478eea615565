package db_test

import (
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// The run's time begins an hour after the server's, which changes go by. So an
// instant that is the server's now is always due in the run, and one of the run
// has never passed for the server, unless doMiss has moved it.
const hour = 3_600_000_000

// modelChange is a change of one timer: what to do, and what the model makes of
// it, given when the timer is then due. conflict says that nothing changes.
type modelChange struct {
	do    func() (db.Changed, error)
	apply func(due int) (conflict bool)
}

// in tells whether it has one of these statuses.
func (timer *modelTimer) in(statuses ...string) bool { return slices.Contains(statuses, timer.status) }

func (m *model) changed(t *modelTimer, status, event string, due int) {
	t.status, t.due = status, due
	t.version++
	occurrence := 0
	if event == "replayed" {
		occurrence = t.occurrence
	}
	m.note("event %s %d timer.%s", t.name, occurrence, event)
}

// aChange draws a change of a timer.
func (w *modelWorld) aChange(t *rapid.T, timer *modelTimer) modelChange {
	ctx, id := context.Background(), w.ids[timer.name]
	switch rapid.SampledFrom([]string{"pause", "pause", "resume", "resume", "update", "snooze", "fire", "replay", "replay"}).Draw(t, "change") {
	case "pause":
		return w.aPause(t, timer)
	case "resume":
		return w.aResume(t, timer)
	case "update":
		to := w.now + rapid.IntRange(-20, 60).Draw(t, "in ms")*1000
		for w.taken(timer, to) {
			to++
		}
		actions, concurrency := rapid.IntRange(0, 4).Draw(t, "actions"), rapid.IntRange(1, 3).Draw(t, "concurrency")
		spec := timerAt(w.base.Add(time.Duration(to)*time.Microsecond), actions, concurrency).Spec
		spec.Name = timer.name
		return modelChange{
			func() (db.Changed, error) {
				was, err := w.d.TimerGet(ctx, tenant, id)
				if err != nil {
					return db.Changed{}, err
				}
				return w.d.TimerUpdate(ctx, tenant, id, db.TimerUpdate{Version: was.Version, Spec: spec, MovesDue: true, Occurrence: 1})
			},
			func(due int) bool {
				if !timer.in("scheduled", "paused") {
					return true
				}
				require.Equal(t, to, due)
				timer.actions, timer.concurrency, timer.modelBundle = actions, concurrency, modelBundle{}
				w.changed(timer, timer.status, "updated patch", due)
				return false
			}}
	case "snooze":
		us := rapid.IntRange(1, 60).Draw(t, "ms") * 1000
		if timer.due < -hour/2 { // it counts from the server's now
			us += hour
		}
		by := minoots.Duration(time.Duration(us) * time.Microsecond)
		return modelChange{
			func() (db.Changed, error) { return w.d.TimerSnooze(ctx, tenant, id, &by, nil) },
			func(due int) bool {
				if !timer.in("scheduled") {
					return true
				}
				require.Greater(t, due, timer.due)
				w.changed(timer, "scheduled", "updated snooze", due)
				return false
			}}
	case "replay":
		// The model's jobs and letters are those of the last firing only.
		if slices.ContainsFunc(w.jobs, func(j *modelJob) bool { return j.timer == timer }) ||
			slices.ContainsFunc(w.dead, func(l *modelLetter) bool { return l.timer == timer }) {
			return w.aPause(t, timer)
		}
		to := w.now + rapid.IntRange(-20, 60).Draw(t, "in ms")*1000
		for w.taken(timer, to) {
			to++
		}
		at := minoots.InstantOf(w.base.Add(time.Duration(to) * time.Microsecond))
		return modelChange{
			func() (db.Changed, error) { return w.d.TimerReplay(ctx, tenant, id, db.Replay{At: &at}) },
			func(due int) bool {
				if !timer.in("settled", "failed") {
					return true
				}
				require.Equal(t, to, due)
				w.changed(timer, "scheduled", "replayed", due)
				return false
			}}
	default:
		return modelChange{
			func() (db.Changed, error) { return w.d.TimerFire(ctx, tenant, id) },
			func(due int) bool {
				if timer.in("paused") || timer.in("scheduled") && timer.due > -hour/2 {
					require.Less(t, due, -hour/2, "the server's now")
					w.changed(timer, "scheduled", "updated fire", due)
				}
				return !timer.in("scheduled")
			}}
	}
}

func (w *modelWorld) aPause(t *rapid.T, timer *modelTimer) modelChange {
	return modelChange{
		func() (db.Changed, error) { return w.d.TimerPause(context.Background(), tenant, w.ids[timer.name]) },
		func(due int) bool {
			if timer.in("scheduled") {
				require.Equal(t, timer.due, due)
				w.changed(timer, "paused", "paused", due)
			}
			return !timer.in("paused")
		}}
}

func (w *modelWorld) aResume(t *rapid.T, timer *modelTimer) modelChange {
	policy := rapid.SampledFrom(minoots.ResumePolicies).Draw(t, "policy")
	return modelChange{
		func() (db.Changed, error) {
			return w.d.TimerResume(context.Background(), tenant, w.ids[timer.name], policy)
		},
		func(due int) bool { return w.resumed(t, timer, policy, due) }}
}

func (w *modelWorld) resumed(t *rapid.T, timer *modelTimer, policy minoots.ResumePolicy, due int) (conflict bool) {
	missed := timer.due < -hour/2
	switch {
	case !timer.in("paused"):
		return !timer.in("scheduled")
	case policy == minoots.ResumeSkip && missed:
		w.changed(timer, "cancelled", "cancelled skip", due)
		timer.occurrence++
		if timer.firing != nil {
			timer.past = append(timer.past, timer.firing.String())
		}
		timer.firing = &modelFiring{status: "skipped", of: timer.actions, name: timer.name, occurrence: timer.occurrence}
		return false
	case policy == minoots.ResumeShift || missed:
		require.GreaterOrEqual(t, due, timer.due)
	default:
		require.Equal(t, timer.due, due, "as it was")
	}
	w.changed(timer, "scheduled", "resumed "+string(policy), due)
	return false
}

// taken tells whether another timer is due at that instant: no two are at once.
func (w *modelWorld) taken(timer *modelTimer, due int) bool {
	return slices.ContainsFunc(w.timers, func(other *modelTimer) bool { return other != timer && other.due == due })
}

// stands reads when a timer is due, or was when it fired, and its status. Where a
// change by the server's clock has made two due at once, it moves one.
func (w *modelWorld) stands(t *rapid.T, timer *modelTimer) (due int, status string) {
	var at time.Time
	require.NoError(t, w.database.Pool.QueryRow(context.Background(), `
		SELECT coalesce(s.due_at, CASE WHEN s.status <> 'paused' THEN f.due_at END, s.held_due_at, s.fire_at), s.status FROM minoots.timer_states s
		LEFT JOIN minoots.firings f ON f.timer_id = s.id AND f.occurrence = s.occurrence WHERE s.id = $1`, w.ids[timer.name]).Scan(&at, &status))
	due = int(at.Sub(w.base) / time.Microsecond)
	for timer.due != due && w.taken(timer, due) {
		due++
		_, err := w.database.Pool.Exec(context.Background(), `UPDATE minoots.timer_states SET fire_at = fire_at + interval '1 microsecond',
			due_at = due_at + interval '1 microsecond' WHERE id = $1 AND due_at IS NOT NULL`, w.ids[timer.name])
		require.NoError(t, err)
	}
	return due, status
}

func (w *modelWorld) doChange(t *rapid.T) {
	timer := w.aTimer(t)
	w.make(t, timer, w.aChange(t, timer))
}

// make makes a change, in the database and in the model.
func (w *modelWorld) make(t *rapid.T, timer *modelTimer, change modelChange) {
	_, err := change.do()
	due, _ := w.stands(t, timer)
	if change.apply(due) {
		require.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err), "%v", err)
		return
	}
	require.NoError(t, err)
}

// doMiss lets two hours pass for a paused timer, and mostly resumes it: its
// instant has passed by then.
func (w *modelWorld) doMiss(t *rapid.T) {
	timer := w.aTimer(t)
	if !timer.in("scheduled", "paused") || timer.due < -hour/2 {
		t.Skip("nothing to miss")
	}
	w.make(t, timer, w.aPause(t, timer))
	_, err := w.database.Pool.Exec(context.Background(), `
		WITH s AS (
			UPDATE minoots.timer_states SET fire_at = fire_at - interval '2 hours', held_due_at = held_due_at - interval '2 hours',
				paused_at = paused_at - interval '2 hours' WHERE id = $1 RETURNING id, paused_at + interval '2 hours' AS was
		)
		UPDATE minoots.events e SET occurred_at = e.occurred_at - interval '2 hours' FROM s WHERE e.timer_id = s.id AND e.occurred_at = s.was`,
		w.ids[timer.name])
	require.NoError(t, err)
	timer.due -= 2 * hour
	if rapid.IntRange(0, 3).Draw(t, "resume") > 0 {
		w.make(t, timer, w.aResume(t, timer))
	}
}

// doChangeRace changes a timer while a kernel fires: one of them wins, and the
// other sees it. A claim steps over a timer that a change holds, even if that
// comes to nothing.
func (w *modelWorld) doChangeRace(t *rapid.T) {
	timer := w.aTimer(t)
	change := w.aChange(t, timer)
	was := timer.status
	var g errgroup.Group
	var fired int
	var err error
	g.Go(func() (err error) { fired, err = w.fires(w.d, 10, "", nil); return err })
	g.Go(func() error { _, err = change.do(); return nil })
	require.NoError(t, g.Wait())
	due, status := w.stands(t, timer)
	switch {
	case minoots.ErrorCode(err) == minoots.CodeConflict:
		if status == was { // not due, or held when the claim came by
			timer.status = "stepped over"
		}
		require.Equal(t, w.claim(10, ""), fired)
		if status == was {
			timer.status = was
		}
		require.True(t, change.apply(due), "%v", err)
	case err == nil && slices.Contains([]string{"fired", "settled"}, status):
		require.False(t, change.apply(due))
		require.Equal(t, w.claim(10, ""), fired)
		require.Equal(t, timer.status, status)
	default:
		require.NoError(t, err)
		timer.status = "stepped over"
		require.Equal(t, w.claim(10, ""), fired)
		timer.status = was
		require.False(t, change.apply(due))
	}
}
