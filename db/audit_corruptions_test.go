package db_test

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
	{"state_contradicts_itself", `ALTER TABLE minoots.timer_states DROP CONSTRAINT timer_states_paused;
		UPDATE minoots.timer_states SET held_due_at = NULL WHERE id = @paused`},
	{"state_without_firing", "DELETE FROM minoots.firings WHERE timer_id = @skipped"},
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
	{"firing_contradicts_itself", "UPDATE minoots.firings SET reason = NULL WHERE timer_id = @refused"},
	{"firing_without_timer", "DELETE FROM minoots.timer_states WHERE id = @settled; DELETE FROM minoots.timers WHERE id = @settled"},
	{"firing_without_job", "DELETE FROM river.river_job WHERE args #>> '{timer,name}' = 'halfway'"},
	{"firing_without_job", `UPDATE river.river_job SET state = 'discarded', finalized_at = now() WHERE args #>> '{timer,name}' = 'waiting'`},
	{"firing_without_job", `UPDATE minoots.firings SET started = 3 WHERE timer_id = @halfway`},
	{"job_without_firing", `INSERT INTO river.river_job (kind, args, max_attempts, queue, state) SELECT 'action',
		jsonb_build_object('timer', jsonb_build_object('id', timer_id), 'occurrence', occurrence, 'dueAt', due_at), 5, 'webhook', 'retryable'
		FROM minoots.firings WHERE timer_id = @settled`},
	{"job_without_firing", `INSERT INTO river.river_job (kind, args, max_attempts, queue, state) VALUES ('action', '{}', 5, 'webhook', 'available')`},
	{"job_without_acknowledgement", "DELETE FROM minoots.acknowledgements WHERE timer_id = @awaiting"},
	{"job_without_acknowledgement", "UPDATE minoots.acknowledgements SET status = 'expired' WHERE timer_id = @awaiting"},
	{"job_without_acknowledgement", "UPDATE minoots.acknowledgements SET expires_at = now() - interval '1 hour' WHERE timer_id = @awaiting"},
	{"attempt_missing", "DELETE FROM minoots.attempts WHERE timer_id = @settled; DELETE FROM minoots.events WHERE timer_id = @settled AND type LIKE 'action%'"},
	{"attempt_missing", "DELETE FROM minoots.attempts WHERE timer_id = @halfway; DELETE FROM minoots.events WHERE timer_id = @halfway AND type LIKE 'action.failed'"},
	{"attempt_missing", "UPDATE minoots.attempts SET status = 'retrying' WHERE timer_id = @failed"},
	{"attempt_without_firing", `UPDATE minoots.events SET occurrence = 7 WHERE timer_id = @retrying AND type LIKE 'action%';
		UPDATE minoots.attempts SET occurrence = 7 WHERE timer_id = @retrying`},
	{"dead_letter_without_job", "UPDATE minoots.dead_letters SET status = 'redriven', redriven_at = now() WHERE timer_id = @failed"},
	{"dead_letter_without_job", "DELETE FROM river.river_job WHERE args #>> '{timer,name}' = 'redriven'"},
	{"dead_letter_without_failure", "UPDATE minoots.firings SET failed = 0 WHERE timer_id = @halfway"},
	{"job_without_firing", "UPDATE minoots.dead_letters SET status = 'dead' WHERE timer_id = @redriven"},
	{"job_without_firing", "UPDATE river.river_job SET args = args - 'phase' WHERE args #>> '{timer,name}' = 'compensating'"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @failed AND type = 'action.dead_lettered'"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @ahead"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @cancelled AND type = 'timer.cancelled'"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @paused AND type = 'timer.paused'"},
	{"event_missing", "DELETE FROM minoots.events WHERE timer_id = @moved AND type = 'timer.updated'"},
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
