-- Writes what becomes of the timers that a claim has locked and Go has judged: when they are due next or
-- how they ended, their firings, those that were skipped among them, and the events. It runs in the
-- claim's transaction, so nobody ever sees a recurring timer fired that will fire again.
--
-- $1 to $9 are the timers; $10 to $14 the firings, of which "timer" is the place of theirs among the
-- timers; $15 is the instant of the claim.
--
-- A timer that has been unarmed until now, and one that is due again, have no status but scheduled. What
-- ends does so by a firing, as a one-shot timer: "fired", or "settled" and "failed" at once; or without
-- one, of which the log has an event of its own.
WITH next AS MATERIALIZED (
    SELECT id, tenant_id, occurrence, actions, status, fire_at, due_at, fires, reason, timer
    FROM unnest(
        $1::uuid[], $2::text[], $3::integer[], $4::smallint[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::boolean[], $9::text[]
    ) WITH ORDINALITY AS n (id, tenant_id, occurrence, actions, status, fire_at, due_at, fires, reason, timer)
),
moved AS (
    UPDATE minoots.timer_states s
    SET status = n.status, fire_at = n.fire_at, due_at = n.due_at, occurrence = n.occurrence, unarmed = NULL,
        updated_at = now(), version = s.version + 1,
        fired_at = CASE WHEN n.fires THEN $15::timestamptz ELSE s.fired_at END,
        settled_at = CASE WHEN n.status IN ('settled', 'failed') THEN $15 END,
        cancelled_at = CASE WHEN n.status = 'cancelled' THEN $15 END,
        cancel_reason = CASE WHEN n.status = 'cancelled' THEN n.reason END,
        failure_reason = CASE WHEN n.status = 'failed' THEN n.reason END
    FROM next n
    WHERE s.id = n.id
),
given AS MATERIALIZED (
    SELECT g.occurrence, g.due_at, g.status, g.reason, n.id, n.tenant_id, n.actions,
        CASE WHEN n.actions > 1 AND g.status = 'running' THEN (SELECT t.bundle FROM minoots.timers t WHERE t.id = n.id) END AS bundle
    FROM unnest($10::bigint[], $11::integer[], $12::timestamptz[], $13::text[], $14::text[]) AS g (timer, occurrence, due_at, status, reason)
    JOIN next n USING (timer)
),
firings AS (
    INSERT INTO minoots.firings (timer_id, due_at, fired_at, settled_at, occurrence, actions, started,
        tenant_id, status, reason, bundle)
    SELECT id, due_at, $15, CASE WHEN status <> 'running' THEN $15 END, occurrence, actions,
        CASE WHEN status <> 'running' THEN 0 WHEN actions < 2 THEN actions
            ELSE least(actions, coalesce((bundle ->> 'concurrency')::smallint, 1)) END,
        tenant_id, status, reason, bundle
    FROM given
),
logged AS (
    INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type, data)
    SELECT id, occurrence, tenant_id, 'timer.fired', NULL::json FROM given WHERE status <> 'skipped'
    UNION ALL
    SELECT id, occurrence, tenant_id, 'timer.' || status, NULL FROM given WHERE status IN ('settled', 'failed')
    UNION ALL
    SELECT id, occurrence, tenant_id, 'firing.skipped', json_build_object('reason', reason) FROM given WHERE status = 'skipped'
    UNION ALL
    SELECT id, 0, tenant_id, 'timer.' || status, json_build_object('reason', reason)
    FROM next
    WHERE NOT fires AND status IN ('settled', 'cancelled')
)
SELECT count(*) AS rearmed FROM next;
