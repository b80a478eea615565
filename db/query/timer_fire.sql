-- Makes a scheduled or paused timer due now, and gives the status it had. One that is due already is left
-- as it is. The lock is what a claim's SKIP LOCKED steps over; a claim then fires the timer, as it does
-- all others. A recurring timer fires once more so, and goes on as scheduled; one whose instant has come
-- and that waits for its jitter, or to catch up, fires that. A paused one stays paused. clock_timestamp(), because another may have made it due while this one waited for the lock.
WITH target AS MATERIALIZED (
    SELECT id, status, status = 'paused' AND NOT recurring OR status = 'scheduled' AND due_at > clock_timestamp() AS waits
    FROM minoots.timer_states
    WHERE id = $1 AND tenant_id = $2
    FOR UPDATE
),
changed AS (
    UPDATE minoots.timer_states s
    SET status = 'scheduled', fire_at = CASE WHEN recurring THEN least(fire_at, now()) ELSE now() END, due_at = now(), paused_at = NULL, held_due_at = NULL,
        updated_at = now(), version = s.version + 1
    FROM target
    WHERE s.id = target.id AND target.waits
    RETURNING s.id, s.tenant_id, s.due_at
),
logged AS (
    INSERT INTO minoots.events (timer_id, tenant_id, type, data)
    SELECT id, tenant_id, 'timer.updated', json_build_object('by', 'fire') FROM changed
)
SELECT target.status, EXISTS (SELECT FROM changed) AS changed, (SELECT due_at FROM changed) AS due_at FROM target;
