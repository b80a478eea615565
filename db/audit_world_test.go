package db_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// insertJobs is what workers' Enqueuer does, as far as SQL sees it.
func insertJobs(ctx context.Context, tx db.Tx, deliveries []minoots.Delivery) error {
	for i := range deliveries {
		args, err := json.Marshal(deliveries[i])
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO river.river_job (kind, args, max_attempts, queue, state)
			VALUES ('action', $1, 5, 'webhook', 'available')`, args)
		if err != nil {
			return err
		}
	}
	return nil
}

// firstDeliveries is what the kernel makes of what it claimed.
func firstDeliveries(fired []db.Fired) (all []minoots.Delivery) {
	for _, f := range fired {
		for _, action := range f.Bundle.Actions[:min(f.Bundle.Concurrency, f.Actions)] {
			all = append(all, f.Bundle.Delivers(action, minoots.Delivery{
				TenantID: f.TenantID, Timer: minoots.DeliveryTimer{ID: f.ID, Name: f.Name}, Occurrence: f.Occurrence,
				DueAt: minoots.InstantOf(f.DueAt), FiredAt: minoots.InstantOf(f.FiredAt),
			}))
		}
	}
	return all
}

// fetch begins an attempt of the first job of a timer, as River does.
func fetch(t testing.TB, database *testdb.DB, timer string) db.OutcomeRecord {
	t.Helper()
	r := db.OutcomeRecord{Delivery: new(minoots.Delivery)}
	var args []byte
	require.NoError(t, database.Pool.QueryRow(context.Background(), `
		UPDATE river.river_job SET state = 'running', attempt = attempt + 1, attempted_at = now()
		WHERE id = (SELECT min(id) FROM river.river_job WHERE args #>> '{timer,name}' = $1)
		RETURNING id, attempt, args`, timer).Scan(&r.JobID, &r.Attempt, &args))
	require.NoError(t, json.Unmarshal(args, r.Delivery))
	return r
}

// lived is a database that has seen all that a timer can go through. The timers
// are known by name.
func lived(t testing.TB, database *testdb.DB, d *db.DB) {
	t.Helper()
	ctx := t.Context()
	named := func(name string, due time.Time, actions, concurrency int) db.NewTimer {
		n := timerAt(due, actions, concurrency)
		n.Spec.Name = name
		return n
	}
	due := past(d)
	timers := []db.NewTimer{
		named("settled", due, 1, 1), named("failed", due, 1, 1), named("retried", due, 1, 1), named("retrying", due, 1, 1),
		named("bundle", due, 3, 2), named("halfway", due, 3, 1), named("bare", due, 0, 0), named("waiting", due, 1, 1),
		named("ahead", due.AddDate(10, 0, 0), 1, 1), named("cancelled", due.AddDate(1, 0, 0), 1, 1), named("refused", due, 1, 1),
		named("paused", due.AddDate(1, 0, 0), 1, 1), named("moved", due.AddDate(1, 0, 0), 1, 1), named("skipped", due, 1, 1),
		named("escalated", due, 1, 1), named("compensating", due, 1, 1), named("stopped", due, 3, 2), named("mended", due, 2, 2),
		named("redriven", due, 1, 1),
	}
	page := minoots.Action{ID: "page", Kind: minoots.KindWebhook}
	timers[14].Spec.ActionBundle.Actions[0].Escalation = &minoots.Escalation{AfterAttempts: 1, EscalatesTo: &page}
	timers[15].Spec.ActionBundle.Compensation = []minoots.Action{page}
	timers[16].Spec.ActionBundle.OnFailure = minoots.OnFailureStop
	timers[6].IdempotencyKey, timers[6].Fingerprint = "key", []byte("x")
	created, err := d.TimerCreate(ctx, timers)
	require.NoError(t, err)
	_, err = d.TimerCancel(ctx, tenant, created[9].Timer.ID, nil, nil)
	require.NoError(t, err)
	change(t, d, created[11:14])
	_, err = d.TimerClaim(ctx, db.ClaimRequest{Limit: 100}, then(func(tx db.Tx, fired []db.Fired) error {
		for i, f := range fired {
			if f.Name == "refused" {
				fired = append(fired[:i:i], fired[i+1:]...)
				if err := db.FiringFail(ctx, tx, f.ID, 1, f.DueAt, "no job can be made"); err != nil {
					return err
				}
				break
			}
		}
		return insertJobs(ctx, tx, firstDeliveries(fired))
	}))
	require.NoError(t, err)

	end := func(timer string, final bool, outcome minoots.Outcome) {
		t.Helper()
		r := fetch(t, database, timer)
		r.Final, r.Outcome = final, outcome
		live, err := d.OutcomeRecord(ctx, "replica", []db.OutcomeRecord{r}, after(insertJobs))
		require.NoError(t, err)
		require.Equal(t, []bool{true}, live)
		if !final { // then River sees to the job
			_, err := database.Pool.Exec(ctx, "UPDATE river.river_job SET state = 'retryable' WHERE id = $1", r.JobID)
			require.NoError(t, err)
		}
	}
	end("settled", true, succeeded())
	end("failed", true, failed("gone"))
	end("retried", false, failed("busy"))
	end("retried", true, succeeded())
	end("retrying", false, failed("busy"))
	for range 3 {
		end("bundle", true, succeeded())
	}
	end("halfway", true, failed("gone"))
	end("escalated", true, failed("gone"))
	end("escalated", true, succeeded())
	end("compensating", true, failed("gone"))
	end("stopped", true, failed("gone"))
	end("stopped", true, succeeded())
	end("mended", true, failed("gone"))
	end("mended", true, succeeded())
	redrive(t, d, created[17].Timer.ID)
	end("mended", true, succeeded())
	end("redriven", true, failed("gone"))
	redrive(t, d, created[18].Timer.ID)

	_, err = d.TimerCreate(ctx, []db.NewTimer{named("awaiting", past(d), 1, 1)})
	require.NoError(t, err)
	_, err = d.TimerClaim(ctx, db.ClaimRequest{Limit: 1}, then(func(tx db.Tx, fired []db.Fired) error {
		return insertJobs(ctx, tx, firstDeliveries(fired))
	}))
	require.NoError(t, err)
	await(t, d, fetch(t, database, "awaiting"))
}

// await sends a delivery to an agent who is to acknowledge it.
func await(t testing.TB, d *db.DB, r db.OutcomeRecord) (token string) {
	t.Helper()
	token = minoots.NewAcknowledgementToken()
	_, err := d.AcknowledgementOpen(t.Context(), db.AcknowledgementOpen{
		Token: token, JobID: r.JobID, Attempt: r.Attempt, Delivery: r.Delivery, Replica: "replica", Timeout: time.Hour,
	})
	require.NoError(t, err)
	sent := succeeded()
	parked, err := d.AcknowledgementPark(t.Context(), tenant, token, &sent)
	require.NoError(t, err)
	require.True(t, parked)
	return token
}

// redrive redrives all dead letters of a timer.
func redrive(t testing.TB, d *db.DB, timer minoots.ID) (ids []minoots.ID) {
	t.Helper()
	letters, err := d.DeadLetterPage(t.Context(), tenant, db.DeadLetterFilter{TimerID: timer, Limit: 100})
	require.NoError(t, err)
	for _, l := range letters {
		ids = append(ids, l.ID)
	}
	redriven, err := d.DeadLetterRedrive(t.Context(), tenant, ids)
	require.NoError(t, err)
	require.Equal(t, ids, redriven)
	return ids
}

// change pauses one timer, pauses and then moves another, and lets the last miss
// its time while it is paused.
func change(t testing.TB, d *db.DB, timers []db.Created) {
	t.Helper()
	ctx := t.Context()
	for _, c := range timers {
		_, err := d.TimerPause(ctx, tenant, c.Timer.ID)
		require.NoError(t, err)
	}
	moved := timers[1].Timer
	later := minoots.InstantOf(moved.FireAt.AddDate(1, 0, 0))
	_, err := d.TimerUpdate(ctx, tenant, moved.ID, db.TimerUpdate{
		Version: 2, Spec: minoots.TimerSpec{Name: moved.Name, ActionBundle: moved.ActionBundle, FireAt: &later}, MovesDue: true, Occurrence: 1,
	})
	require.NoError(t, err)
	_, err = d.TimerResume(ctx, tenant, timers[2].Timer.ID, minoots.ResumeSkip)
	require.NoError(t, err)
}
