package db_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func oneTry(actions ...minoots.Action) minoots.Bundle {
	return minoots.Bundle{RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 1}, Actions: actions}
}

func TestDeadLetterRedrive(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	c := begin(t, database, d, minoots.Bundle{RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 2}, Actions: []minoots.Action{actionOf("a")}})
	first := c.fails("a")
	c.stands(minoots.StatusFailed, 1)
	letters := c.letters(minoots.DeadLetterDead)
	require.Len(t, letters, 1)
	l := letters[0]
	assert.Equal(t, minoots.DeadLetter{
		ID: l.ID, TimerID: c.f.ID, Occurrence: 1, DueAt: minoots.InstantOf(c.f.DueAt), ActionID: "a", Kind: minoots.KindWebhook,
		Phase: "action", WebhookID: first.WebhookID(), Status: minoots.DeadLetterDead, Attempts: 2, HTTPStatus: l.HTTPStatus,
		ErrorClass: l.ErrorClass, Error: l.Error, CreatedAt: l.CreatedAt,
	}, l)
	assert.Equal(t, 410, *l.HTTPStatus)
	assert.Equal(t, "http_status", *l.ErrorClass)
	assert.Equal(t, "no", *l.Error)

	// It fails again, with as many attempts as its policy has, counted on.
	got, err := d.DeadLetterRedriveOne(t.Context(), tenant, l.ID)
	require.NoError(t, err)
	assert.Equal(t, minoots.DeadLetterRedriven, got.Status)
	assert.Equal(t, 1, got.Redrives)
	assert.NotNil(t, got.RedrivenAt)
	c.sound()
	again := c.fails("a")
	assert.Equal(t, first.WebhookID(), again.WebhookID())
	assert.Equal(t, 2, again.Base)
	got, err = d.DeadLetterGet(t.Context(), tenant, l.ID)
	require.NoError(t, err)
	assert.Equal(t, minoots.DeadLetterDead, got.Status)
	assert.Equal(t, 4, got.Attempts)
	assert.Equal(t, "a", got.Action.ID)
	require.Len(t, got.History, 4)
	for i, a := range got.History {
		assert.Equal(t, i+1, a.Attempt)
	}
	c.stands(minoots.StatusFailed, 1)
	c.sound()

	// And then succeeds.
	assert.Equal(t, []minoots.ID{l.ID}, redrive(t, d, c.f.ID))
	r := c.attempt("a", false)
	assert.False(t, r.Final)
	c.record(r)
	assert.Equal(t, 2, c.succeeds("a").Redrives)
	c.stands(minoots.StatusSettled, 0)
	got, err = d.DeadLetterGet(t.Context(), tenant, l.ID)
	require.NoError(t, err)
	assert.Equal(t, minoots.DeadLetterResolved, got.Status)
	assert.Equal(t, 6, got.Attempts)
	assert.NotNil(t, got.ClosedAt)
	assert.Equal(t, []string{
		"action.dead_lettered", "action.failed", "timer.failed", "action.dead_lettered", "action.failed", "action.succeeded", "timer.settled",
	}, finalEvents(t, c))
	c.sound()
	_, err = d.DeadLetterRedriveOne(t.Context(), tenant, l.ID)
	assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
	assert.ErrorContains(t, err, "is resolved")
}

// finalEvents lists the events of a timer after it has fired, without retries.
func finalEvents(t *testing.T, c *course) (types []string) {
	t.Helper()
	require.NoError(t, c.database.Pool.QueryRow(t.Context(), `SELECT array_agg(type ORDER BY xid, type) FROM minoots.events
		WHERE timer_id = $1 AND type NOT IN ('timer.scheduled', 'timer.fired') AND data ->> 'final' IS DISTINCT FROM 'false'`, c.f.ID).Scan(&types))
	return types
}

// The firing is settled when the last of its failures has been made good, in any
// order, also while another action of it runs.
func TestDeadLettersOfABundle(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	bundle := oneTry(actionOf("a"), actionOf("b"), actionOf("c"))
	bundle.Concurrency = 3
	c := begin(t, database, d, bundle)
	c.fails("a")
	c.fails("b")
	redrive(t, d, c.f.ID)
	c.sound()
	c.succeeds("a")
	c.stands(minoots.StatusFired, 1)
	c.succeeds("c")
	c.stands(minoots.StatusFailed, 1)
	c.sound()
	c.succeeds("b")
	c.stands(minoots.StatusSettled, 0)
	c.sound()

	// All good before the last has ended: it never was failed.
	c = begin(t, database, d, bundle)
	c.fails("a")
	c.succeeds("b")
	redrive(t, d, c.f.ID)
	c.succeeds("a")
	c.succeeds("c")
	c.stands(minoots.StatusSettled, 0)
	c.sound()

	// The last outcome of the bundle and that of a redrive, in one group.
	c = begin(t, database, d, bundle)
	c.fails("a")
	c.succeeds("b")
	redrive(t, d, c.f.ID)
	c.record(c.attempt("c", true), c.attempt("a", true))
	c.stands(minoots.StatusSettled, 0)
	c.sound()
}

// Any number of redrives at once make one job, whoever asks, one by one or all.
func TestDeadLetterRedrivenByManyAtOnce(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	var ids []minoots.ID
	const letters, callers = 20, 5
	for range letters {
		c := begin(t, database, d, oneTry(actionOf("a")))
		c.fails("a")
		ids = append(ids, c.letters(minoots.DeadLetterDead)[0].ID)
	}
	var g errgroup.Group
	redriven := make([]int, callers)
	for i := range callers {
		mine := connect(t, database.URL)
		g.Go(func() error {
			if i == 0 {
				for _, id := range ids {
					if _, err := mine.DeadLetterRedriveOne(context.Background(), tenant, id); err == nil {
						redriven[i]++
					} else if minoots.ErrorCode(err) != minoots.CodeConflict {
						return err
					}
				}
				return nil
			}
			got, err := mine.DeadLetterRedrive(context.Background(), tenant, ids)
			redriven[i] = len(got)
			return err
		})
	}
	require.NoError(t, g.Wait())
	all := 0
	for _, n := range redriven {
		all += n
	}
	assert.Equal(t, letters, all)
	assert.Equal(t, letters, count(t, database, "SELECT count(*) FROM river.river_job WHERE state = 'available' AND attempt = 1 AND max_attempts = 2"))
	assert.Empty(t, findings(audit(t, d, db.AuditRequest{})))
}

func TestDeadLetterRedriveNotifies(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	c := begin(t, database, d, oneTry(actionOf("a")))
	c.fails("a")
	conn := direct(t, database.URL)
	_, err := conn.Exec(t.Context(), `LISTEN "river.river_insert"`)
	require.NoError(t, err)
	redrive(t, d, c.f.ID)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	n, err := conn.WaitForNotification(ctx)
	require.NoError(t, err)
	assert.JSONEq(t, `{"queue": "webhook"}`, n.Payload)
}

// A redrive of one that is lost with its process is dispatched again as it is, and
// given up like any other.
func TestDeadLetterRedrivenIsLost(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	c := begin(t, database, d, oneTry(actionOf("a")))
	c.fails("a")
	redrive(t, d, c.f.ID)
	c.attempt("a", true)
	n, err := d.JobRedispatch(t.Context(), []string{"replica"})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	c.sound()
	r := c.attempt("a", true)
	assert.Equal(t, 2, r.Attempt, "the lost one is not counted")
	assert.Equal(t, 1, r.Delivery.Base)
	inGeneration(t, database, r.JobID, db.LossesMost-1)
	n, err = d.JobWorn(t.Context(), []string{"replica"}, noMore)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	l := c.letters(minoots.DeadLetterDead)[0]
	assert.Equal(t, db.ClassLost, *l.ErrorClass)
	c.stands(minoots.StatusFailed, 1)
	redrive(t, d, c.f.ID)
	assert.Zero(t, c.succeeds("a").Generation)
	c.stands(minoots.StatusSettled, 0)
	c.sound()
}
