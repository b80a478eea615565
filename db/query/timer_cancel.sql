-- Cancels a timer that has not fired and gives the status it had. The lock in the CTE is what a
-- claim's SKIP LOCKED steps over: of cancel and fire, exactly one wins, and the other sees it.
WITH target AS MATERIALIZED (
    SELECT id, status FROM minoots.timer_states
    WHERE id = $1 AND tenant_id = $2
    FOR UPDATE
),
changed AS (
    UPDATE minoots.timer_states s
    SET status = 'cancelled', due_at = NULL, cancelled_at = now(), updated_at = now(),
        cancel_reason = $3, cancelled_by = $4, version = s.version + 1
    FROM target
    WHERE s.id = target.id AND target.status IN ('scheduled', 'paused')
    RETURNING s.id, s.tenant_id
),
logged AS (
    INSERT INTO minoots.events (timer_id, tenant_id, type)
    SELECT id, tenant_id, 'timer.cancelled' FROM changed
)
SELECT target.status, EXISTS (SELECT FROM changed) AS cancelled, NULL::timestamptz AS due_at FROM target;
