-- Pauses a timer that has not fired and gives the status it had. Its row leaves the index of claims. The
-- lock is what a claim's SKIP LOCKED steps over: of pause and fire, exactly one wins, and the other
-- sees it.
WITH target AS MATERIALIZED (
    SELECT id, status FROM minoots.timer_states
    WHERE id = $1 AND tenant_id = $2
    FOR UPDATE
),
changed AS (
    UPDATE minoots.timer_states s
    SET status = 'paused', due_at = NULL, held_due_at = s.due_at, paused_at = now(), updated_at = now(),
        version = s.version + 1
    FROM target
    WHERE s.id = target.id AND target.status = 'scheduled'
    RETURNING s.id, s.tenant_id
),
logged AS (
    INSERT INTO minoots.events (timer_id, tenant_id, type)
    SELECT id, tenant_id, 'timer.paused' FROM changed
)
SELECT target.status, EXISTS (SELECT FROM changed) AS changed, NULL::timestamptz AS due_at FROM target;
