-- Resumes a paused recurring timer, if it still has the version $3 for which it was computed when it is due
-- next: at $4, and with its jitter at $5, or never again if that is NULL: then it is cancelled for the
-- reason $8. $6 is the number of its last occurrence, $9 to $11 those that were missed and are skipped.
-- Gives the status it had. The lock serialises it with other changes.
--
-- What is due is due from now on: it is found above the claims' low-water mark.
WITH target AS MATERIALIZED (
    SELECT id, status, status = 'paused' AND recurring AND version = $3::bigint AS current FROM minoots.timer_states
    WHERE id = $1 AND tenant_id = $2
    FOR UPDATE
),
changed AS (
    UPDATE minoots.timer_states s
    SET status = CASE WHEN $5::timestamptz IS NULL THEN 'cancelled' ELSE 'scheduled' END,
        fire_at = $4::timestamptz, due_at = greatest($5, CASE WHEN $5 IS NOT NULL THEN now() END), occurrence = $6::integer, unarmed = NULL,
        cancelled_at = CASE WHEN $5 IS NULL THEN now() END, cancel_reason = CASE WHEN $5 IS NULL THEN $8::text END,
        paused_at = NULL, held_due_at = NULL, updated_at = now(), version = s.version + 1
    FROM target
    WHERE s.id = target.id AND target.current
    RETURNING s.id, s.tenant_id, s.actions, s.due_at
),
skipped AS MATERIALIZED (
    SELECT c.id, c.tenant_id, c.actions, g.occurrence, g.due_at, g.reason
    FROM changed c
    CROSS JOIN unnest($9::integer[], $10::timestamptz[], $11::text[]) AS g (occurrence, due_at, reason)
),
firings AS (
    INSERT INTO minoots.firings (timer_id, due_at, fired_at, settled_at, occurrence, actions, started, tenant_id, status, reason)
    SELECT id, due_at, greatest(now(), due_at), greatest(now(), due_at), occurrence, actions, 0, tenant_id, 'skipped', reason FROM skipped
),
logged AS (
    INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type, data)
    SELECT id, occurrence, tenant_id, 'firing.skipped', json_build_object('reason', reason) FROM skipped
    UNION ALL
    SELECT id, 0, tenant_id, CASE WHEN due_at IS NULL THEN 'timer.cancelled' ELSE 'timer.resumed' END, json_build_object('policy', $7::text)
    FROM changed
)
SELECT target.status, target.current AS changed, (SELECT due_at FROM changed) AS due_at FROM target;
