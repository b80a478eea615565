-- Has a settled or failed one-shot timer run again: due now, $3 microseconds from now, or at $4, without
-- jitter. Gives the status it had. With $5, only if that is its version.
--
-- The next claim counts the occurrence on, so that the new firing stands beside the old one and has a
-- webhook-id of its own. fired_at stays until then: it tells that there was a firing. settled_at goes,
-- which is how an audit knows that a timer has moved on from its last firing.
WITH target AS MATERIALIZED (
    SELECT id, status, status IN ('settled', 'failed') AND NOT recurring AND version = coalesce($5::bigint, version) AS again
    FROM minoots.timer_states
    WHERE id = $1 AND tenant_id = $2
    FOR UPDATE
),
changed AS (
    UPDATE minoots.timer_states s
    SET status = 'scheduled', settled_at = NULL, failure_reason = NULL, updated_at = now(), version = s.version + 1,
        fire_at = greatest(now(), coalesce($4::timestamptz, now() + coalesce($3::bigint, 0) * interval '1 microsecond')),
        due_at = greatest(now(), coalesce($4, now() + coalesce($3, 0) * interval '1 microsecond'))
    FROM target
    WHERE s.id = target.id AND target.again
    RETURNING s.id, s.tenant_id, s.occurrence, s.due_at
),
logged AS (
    INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type)
    SELECT id, occurrence, tenant_id, 'timer.replayed' FROM changed
)
SELECT target.status, EXISTS (SELECT FROM changed) AS changed, (SELECT due_at FROM changed) AS due_at FROM target;
