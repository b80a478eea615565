package db_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
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
			all = append(all, minoots.Delivery{
				TenantID: f.TenantID, Timer: minoots.DeliveryTimer{ID: f.ID, Name: f.Name}, Occurrence: f.Occurrence,
				DueAt: minoots.InstantOf(f.DueAt), FiredAt: minoots.InstantOf(f.FiredAt),
				Action: action, Policy: f.Bundle.PolicyOf(action), Alone: f.Actions == 1,
			})
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
	}
	timers[6].IdempotencyKey, timers[6].Fingerprint = "key", []byte("x")
	created, err := d.TimerCreate(ctx, timers)
	require.NoError(t, err)
	_, err = d.TimerCancel(ctx, tenant, created[9].Timer.ID, nil, nil)
	require.NoError(t, err)
	_, err = d.TimerClaim(ctx, db.ClaimRequest{Limit: 100}, func(tx db.Tx, fired []db.Fired) error {
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
	})
	require.NoError(t, err)

	end := func(timer string, final bool, outcome minoots.Outcome) {
		t.Helper()
		r := fetch(t, database, timer)
		r.Final, r.Outcome = final, outcome
		live, err := d.OutcomeRecord(ctx, "replica", []db.OutcomeRecord{r}, insertJobs)
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
}

func audit(t testing.TB, d *db.DB, req db.AuditRequest) db.Audit {
	t.Helper()
	if req.Grace == 0 {
		req.Grace = -time.Second // not even what was written just now is left alone
	}
	a, err := d.AuditRun(t.Context(), req)
	require.NoError(t, err)
	return a
}

// findings lists the checks that found something, with what.
func findings(a db.Audit) map[string][]string {
	all := map[string][]string{}
	for _, c := range a.Checks {
		if c.Found > 0 {
			all[c.Name] = c.Examples
		}
	}
	return all
}

func TestAuditOfAHealthyWorld(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	empty := audit(t, d, db.AuditRequest{})
	assert.True(t, empty.OK)
	lived(t, database, d)
	a := audit(t, d, db.AuditRequest{})
	assert.Empty(t, findings(a))
	assert.True(t, a.OK)
	for i, c := range a.Checks {
		assert.Zero(t, empty.Checks[i].Looked, c.Name)
		assert.NotZero(t, c.Looked, "%s looked at nothing", c.Name)
	}
	require.NotEmpty(t, a.Sizes)
	sizes := map[string]db.TableSize{}
	for _, s := range a.Sizes {
		sizes[s.Table] = s
		assert.NotContains(t, s.Table, "_20", "partitions are one table")
	}
	assert.NotZero(t, sizes["minoots.timers"].TableBytes)
	assert.NotZero(t, sizes["minoots.firings"].IndexBytes)
	assert.Greater(t, sizes["minoots.events"].Partitions, 4)
	assert.Contains(t, sizes, "river.river_job")
}

// corruptions are what the audit is for: each is found by its check and no other.
// @name stands for the id of that timer.
var corruptions = []struct{ check, sql string }{
	{"timer_without_state", "DELETE FROM minoots.timer_states WHERE id = @ahead"},
	{"state_without_timer", "DELETE FROM minoots.timers WHERE id = @ahead"},
	{"state_contradicts_itself", "UPDATE minoots.timer_states SET cancelled_at = NULL WHERE id = @cancelled"},
	{"state_contradicts_itself", "UPDATE minoots.timer_states SET settled_at = NULL WHERE id = @settled"},
	{"state_contradicts_itself", "UPDATE minoots.timer_states SET fired_at = NULL WHERE id = @settled"},
	{"state_contradicts_itself", "UPDATE minoots.timer_states SET failure_reason = NULL WHERE id = @failed"},
	{"state_contradicts_itself", `ALTER TABLE minoots.timer_states DROP CONSTRAINT timer_states_due;
		UPDATE minoots.timer_states SET due_at = NULL WHERE id = @ahead`},
	{"state_contradicts_itself", `ALTER TABLE minoots.timer_states DROP CONSTRAINT timer_states_due;
		UPDATE minoots.timer_states SET due_at = now() + interval '1 day' WHERE id = @settled`},
	{"state_without_firing", `DELETE FROM minoots.firings WHERE timer_id = @bare;
		DELETE FROM minoots.events WHERE timer_id = @bare AND type <> 'timer.scheduled'`},
	{"state_without_firing", "UPDATE minoots.timer_states SET occurrence = 2 WHERE id = @bare"},
	{"state_without_firing", `UPDATE minoots.firings SET occurrence = 2 WHERE timer_id = @bare;
		UPDATE minoots.events SET occurrence = 2 WHERE timer_id = @bare AND type <> 'timer.scheduled'`},
	{"state_disagrees", "UPDATE minoots.timer_states SET status = 'fired' WHERE id = @settled"},
	{"state_disagrees", "UPDATE minoots.timer_states SET status = 'failed', failure_reason = 'x' WHERE id = @settled"},
	{"state_disagrees", "UPDATE minoots.timer_states SET status = 'settled', settled_at = now() WHERE id = @waiting"},
	{"timer_overdue", "UPDATE minoots.timer_states SET due_at = now() - interval '1 second' WHERE id = @ahead"},
	{"firing_early", "UPDATE minoots.firings SET fired_at = due_at - interval '1 microsecond' WHERE timer_id = @settled"},
	{"firing_twice", `INSERT INTO minoots.firings (timer_id, due_at, fired_at, settled_at, occurrence, actions, started, ended, tenant_id, status)
		SELECT timer_id, due_at - interval '7 days', fired_at, settled_at, occurrence, actions, started, ended, tenant_id, status
		FROM minoots.firings WHERE timer_id = @settled`},
	{"firing_contradicts_itself", "UPDATE minoots.firings SET settled_at = now() WHERE timer_id = @waiting"},
	{"firing_contradicts_itself", "UPDATE minoots.firings SET settled_at = NULL WHERE timer_id = @settled"},
	{"firing_contradicts_itself", "UPDATE minoots.firings SET ended = 0 WHERE timer_id = @settled"},
	{"firing_contradicts_itself", "UPDATE minoots.firings SET failed = 0, reason = NULL WHERE timer_id = @failed"},
	{"firing_without_timer", "DELETE FROM minoots.timer_states WHERE id = @settled; DELETE FROM minoots.timers WHERE id = @settled"},
	{"firing_without_job", "DELETE FROM river.river_job WHERE args #>> '{timer,name}' = 'halfway'"},
	{"firing_without_job", `UPDATE river.river_job SET state = 'discarded', finalized_at = now() WHERE args #>> '{timer,name}' = 'waiting'`},
	{"firing_without_job", `UPDATE minoots.firings SET started = 3 WHERE timer_id = @halfway`},
	{"job_without_firing", `INSERT INTO river.river_job (kind, args, max_attempts, queue, state) SELECT 'action',
		jsonb_build_object('timer', jsonb_build_object('id', timer_id), 'occurrence', occurrence, 'dueAt', due_at), 5, 'webhook', 'retryable'
		FROM minoots.firings WHERE timer_id = @settled`},
	{"job_without_firing", `INSERT INTO river.river_job (kind, args, max_attempts, queue, state) VALUES ('action', '{}', 5, 'webhook', 'available')`},
	{"attempt_missing", "DELETE FROM minoots.attempts WHERE timer_id = @settled; DELETE FROM minoots.events WHERE timer_id = @settled AND type LIKE 'action%'"},
	{"attempt_missing", "DELETE FROM minoots.attempts WHERE timer_id = @halfway; DELETE FROM minoots.events WHERE timer_id = @halfway AND type LIKE 'action%'"},
	{"attempt_missing", "UPDATE minoots.attempts SET status = 'retrying' WHERE timer_id = @failed"},
	{"attempt_without_firing", `UPDATE minoots.events SET occurrence = 7 WHERE timer_id = @retrying AND type LIKE 'action%';
		UPDATE minoots.attempts SET occurrence = 7 WHERE timer_id = @retrying`},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @ahead"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @cancelled AND type = 'timer.cancelled'"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @settled AND type = 'timer.fired'"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @settled AND type = 'timer.settled'"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @refused AND type = 'timer.failed'"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @settled AND type = 'action.succeeded'"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @retrying AND type = 'action.failed'"},
	{"event_twice", "INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type) VALUES (@settled, 1, 'acme', 'timer.fired')"},
	{"event_twice", "INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type) VALUES (@settled, 1, 'acme', 'timer.settled')"},
	{"event_without_timer", "DELETE FROM minoots.timer_states WHERE id = @ahead; DELETE FROM minoots.timers WHERE id = @ahead"},
	{"event_without_change", "INSERT INTO minoots.events (timer_id, tenant_id, type) VALUES (@ahead, 'acme', 'timer.cancelled')"},
	{"event_without_change", "INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type) VALUES (@ahead, 1, 'acme', 'timer.fired')"},
	{"event_without_change", "INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type) VALUES (@settled, 1, 'acme', 'timer.failed')"},
	{"event_without_change", "INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type) VALUES (@waiting, 1, 'acme', 'timer.settled')"},
	{"event_without_change", `INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type, data)
		VALUES (@waiting, 1, 'acme', 'action.failed', '{"actionId": "a", "attempt": 1}')`},
	{"key_without_timer", "UPDATE minoots.idempotency_keys SET timer_id = gen_random_uuid()"},
}

func TestAuditFindsEachCorruption(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	lived(t, database, d)
	ids := map[string]string{}
	rows, err := database.Pool.Query(t.Context(), "SELECT name, id::text FROM minoots.timers")
	require.NoError(t, err)
	var name, id string
	_, err = pgx.ForEachRow(rows, []any{&name, &id}, func() error { ids[name] = id; return nil })
	require.NoError(t, err)
	found := map[string]bool{}
	for _, c := range corruptions {
		found[c.check] = true
		t.Run(c.check, func(t *testing.T) {
			sql := regexp.MustCompile(`@\w+`).ReplaceAllStringFunc(c.sql, func(name string) string { return "'" + ids[name[1:]] + "'" })
			tx, err := database.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer func() { assert.NoError(t, tx.Rollback(context.Background())) }()
			_, err = tx.Conn().PgConn().Exec(t.Context(), sql).ReadAll()
			require.NoError(t, err)
			a, err := db.AuditIn(t.Context(), tx, db.AuditRequest{Examples: 2, Grace: -time.Second})
			require.NoError(t, err)
			assert.False(t, a.OK)
			for check, examples := range findings(a) {
				assert.Equal(t, c.check, check, "%s: %v", sql, examples)
				assert.NotEmpty(t, examples)
			}
			assert.Contains(t, findings(a), c.check, sql)
		})
	}
	for _, c := range audit(t, d, db.AuditRequest{}).Checks {
		assert.True(t, found[c.Name], "%s has no corruption", c.Name)
	}
}

// The examples are few, and the count is of all.
func TestAuditCountsMoreThanItNames(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	lived(t, database, d)
	_, err := database.Pool.Exec(t.Context(), "DELETE FROM minoots.events WHERE type = 'timer.scheduled'")
	require.NoError(t, err)
	a := audit(t, d, db.AuditRequest{Examples: 3})
	assert.Len(t, findings(a)["event_missing"], 3)
	for _, c := range a.Checks {
		if c.Name == "event_missing" {
			assert.EqualValues(t, 11, c.Found)
		}
	}
	assert.Empty(t, findings(audit(t, d, db.AuditRequest{Since: d.Clock().Now().Add(time.Hour)})), "it is before the time asked for")
	a = audit(t, d, db.AuditRequest{Since: d.Clock().Now().Add(-time.Hour)})
	assert.Len(t, findings(a)["event_missing"], 5)
	assert.NotNil(t, a.Since)
}

// Work under way is nobody's fault until the grace is over.
func TestAuditLeavesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	lived(t, database, d)
	_, err := database.Pool.Exec(t.Context(), "DELETE FROM river.river_job")
	require.NoError(t, err)
	assert.Empty(t, findings(audit(t, d, db.AuditRequest{Grace: time.Minute})))
	assert.Contains(t, findings(audit(t, d, db.AuditRequest{})), "firing_without_job")
}

// What retention took is not missed: history, timers, or both.
func TestAuditAfterRetention(t *testing.T) {
	t.Parallel()
	for what, keep := range map[string]struct{ timers, history bool }{
		"all gone": {}, "timers kept": {timers: true}, "history kept": {history: true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			database, d := setup(t)
			lived(t, database, d)
			age(t, database, 60)
			require.Empty(t, findings(audit(t, d, db.AuditRequest{})), "before")
			lived(t, database, d) // and today
			if !keep.timers {
				assert.NotZero(t, forgetTimers(t, d))
			}
			if !keep.history {
				assert.Contains(t, dropAll(t, d, month), "events_"+monday(d.Clock().Now().Add(-60*day)))
				_, err := d.HistoryForget(t.Context(), month)
				require.NoError(t, err)
			}
			assert.Empty(t, findings(audit(t, d, db.AuditRequest{})))
		})
	}
}

// monday is the name of an instant's week.
func monday(at time.Time) string {
	at = at.UTC()
	return at.AddDate(0, 0, -(int(at.Weekday())+6)%7).Format("20060102")
}

// age makes all that happened have happened so many days ago.
func age(t *testing.T, database *testdb.DB, days int) {
	t.Helper()
	ago := fmt.Sprintf("interval '%d days'", days)
	shift := func(columns ...string) string {
		for i, c := range columns {
			columns[i] = c + " = " + c + " - " + ago
		}
		return strings.Join(columns, ", ")
	}
	// The ids too: the first 48 bits are the time.
	older := func(id string) string {
		return fmt.Sprintf(`%[1]s = (lpad(to_hex(('x' || translate(left(%[1]s::text, 13), '-', ''))::bit(48)::bigint - %[2]d), 12, '0')
			|| substr(%[1]s::text, 14))::uuid`, id, days*86_400_000)
	}
	for _, sql := range []string{
		fmt.Sprintf("SELECT minoots.ensure_partitions(now() - %s - interval '7 days', 3)", ago),
		"UPDATE minoots.timers SET " + older("id") + ", " + shift("created_at"),
		"UPDATE minoots.timer_states SET " + older("id") + ", " + shift("fire_at", "updated_at", "fired_at", "settled_at", "cancelled_at") +
			", due_at = CASE WHEN due_at < now() THEN due_at - " + ago + " ELSE due_at END",
		"UPDATE minoots.firings SET " + older("timer_id") + ", " + shift("due_at", "fired_at", "settled_at"),
		"UPDATE minoots.attempts SET " + older("timer_id") + ", " + shift("started_at", "finished_at"),
		"UPDATE minoots.events SET " + older("timer_id") + ", " + shift("occurred_at"),
		"DELETE FROM minoots.idempotency_keys",
		`UPDATE river.river_job SET args = jsonb_set(jsonb_set(args, '{timer,id}', to_jsonb(f.timer_id)), '{dueAt}', to_jsonb(f.due_at))
			FROM minoots.firings f WHERE right(f.timer_id::text, 20) = right(args #>> '{timer,id}', 20)`,
	} {
		_, err := database.Pool.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
}
