package db_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// inHand is an outcome that a worker has not yet been told the fate of.
type inHand struct {
	modelOutcome
	record db.OutcomeRecord
}

// aJob draws one in that state.
func (w *modelWorld) aJob(t *rapid.T, state string) *modelJob {
	var all []*modelJob
	for _, j := range w.jobs {
		if j.state == state {
			all = append(all, j)
		}
	}
	if len(all) == 0 {
		t.Skip("no job")
	}
	return all[rapid.IntRange(0, len(all)-1).Draw(t, "job")]
}

const jobOf = ` WHERE args #>> '{timer,name}' = $1 AND args #>> '{action,id}' = $2`

// doFetch begins an attempt, whose outcome is then in a worker's hand.
func (w *modelWorld) doFetch(t *rapid.T) {
	w.fetch(t, w.aJob(t, "available"))
}

func (w *modelWorld) fetch(t *rapid.T, j *modelJob) {
	j.state = "running"
	j.attempt++
	var id int64
	var args []byte
	err := w.database.Pool.QueryRow(context.Background(), `UPDATE river.river_job SET state = 'running', attempt = attempt + 1, attempted_at = now()`+
		jobOf+" RETURNING id, args", j.timer.name, j.action).Scan(&id, &args)
	require.NoError(t, err)
	w.take(t, j, id, args, false)
}

// take makes the attempt: its outcome is then in a worker's hand.
func (w *modelWorld) take(t *rapid.T, j *modelJob, id int64, args []byte, here bool) {
	o := &inHand{}
	o.job, o.attempt = j, j.attempt
	o.ok = rapid.Bool().Draw(t, "ok")
	o.final = o.ok || rapid.Bool().Draw(t, "final")
	r := &o.record
	r.JobID, r.Attempt, r.Final, r.Delivery, r.Outcome = id, j.attempt, o.final, new(minoots.Delivery), succeeded()
	if !o.ok {
		r.Outcome = failed("no")
	}
	if o.here = here; here && !o.final {
		r.RetryAt = time.Now()
	}
	require.NoError(t, json.Unmarshal(args, r.Delivery))
	w.hand = append(w.hand, o)
}

// doRedeliver gives a job to a second worker while the first is still at it.
func (w *modelWorld) doRedeliver(t *rapid.T) {
	w.fetch(t, w.lose(t, w.aJob(t, "running")))
}

// lose gives a running job up: what its worker has in hand comes too late. So do
// River's own retry and rescue, and a new row under a higher generation.
func (w *modelWorld) lose(t *rapid.T, j *modelJob) *modelJob {
	j.state = "available"
	sql := "UPDATE river.river_job SET state = 'available'" + jobOf
	if rapid.Bool().Draw(t, "as a new job") {
		j2 := *j
		j2.attempt, j2.generation = 0, j.generation+1
		for i := range w.jobs {
			if w.jobs[i] == j {
				w.jobs[i] = &j2
			}
		}
		j = &j2
		sql = `WITH old AS (DELETE FROM river.river_job` + jobOf + ` RETURNING args, max_attempts, queue, kind)
			INSERT INTO river.river_job (kind, args, max_attempts, queue, state)
			SELECT kind, jsonb_set(args, '{generation}', to_jsonb(coalesce((args ->> 'generation')::int, 0) + 1)), max_attempts, queue, 'available' FROM old`
	}
	_, err := w.database.Pool.Exec(context.Background(), sql, j.timer.name, j.action)
	require.NoError(t, err)
	return j
}

func (w *modelWorld) doRecord(t *rapid.T) {
	if len(w.hand) == 0 {
		t.Skip("nothing in hand")
	}
	var group []*modelOutcome
	var records []db.OutcomeRecord
	alone := true
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(w.hand)-1), 1, min(4, len(w.hand)), rapid.ID).Draw(t, "outcomes") {
		o := w.hand[i]
		group, records = append(group, &o.modelOutcome), append(records, o.record)
		alone = alone && o.record.Delivery.Alone
	}
	fate := rapid.SampledFrom([]string{"", "", "", "rolled back", "cut before the commit", "cut after it"}).Draw(t, "fate")
	switch {
	case fate == "rolled back":
		live, err := w.d.OutcomeRecord(context.Background(), "replica", records,
			after(func(context.Context, db.Tx, []minoots.Delivery) error { return errors.New("boom") }))
		if err == nil { // nothing was to follow, so nothing went wrong
			require.Equal(t, w.record(group), live)
			w.hand = slices.DeleteFunc(w.hand, func(o *inHand) bool { return slices.Contains(group, &o.modelOutcome) })
			return
		}
		require.ErrorContains(t, err, "boom")
	case fate == "cut before the commit" && !alone, fate == "cut after it" && !alone:
		done := w.proxy.cutNext(fate == "cut after it")
		_, err := w.broken.OutcomeRecord(context.Background(), "replica", records, after(insertJobs))
		require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
		<-done
		if fate == "cut after it" {
			w.record(group)
		}
	default:
		live, err := w.d.OutcomeRecord(context.Background(), "replica", records, after(insertJobs))
		require.NoError(t, err)
		require.Equal(t, w.record(group), live)
		// Told, the workers let go; after an error they come again.
		w.hand = slices.DeleteFunc(w.hand, func(o *inHand) bool { return slices.Contains(group, &o.modelOutcome) })
	}
}
