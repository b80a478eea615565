-- Redrives dead letters: makes each a job again, with the same webhook-id, whose attempts are counted on.
-- It gives every one with the status that it had; only the dead are redriven, and only those ($4) whose
-- attempts can still be counted.
--
-- The lock is what makes of two redrives at once one job: the second waits, and then sees what the first
-- has made of it. Rows are locked by id, so that two of them cannot deadlock. A recorder needs those that
-- are redriven, and a redrive changes none of these.
WITH target AS MATERIALIZED (
    SELECT id, status, attempts
    FROM minoots.dead_letters
    WHERE tenant_id = $1 AND id = ANY ($2::uuid[])
    ORDER BY id
    FOR UPDATE
),
taken AS (
    UPDATE minoots.dead_letters d
    SET status = 'redriven', redriven_at = now(), redrives = d.redrives + 1
    FROM target
    WHERE d.id = target.id AND target.status = 'dead' AND target.attempts <= $4::smallint
    RETURNING d.id, d.kind, d.attempts, d.redrives, d.delivery
),
jobs AS (
    INSERT INTO river.river_job (state, attempt, max_attempts, queue, kind, args)
    SELECT 'available', attempts, attempts + coalesce((delivery #>> '{policy,maxAttempts}')::smallint, $3::smallint), kind, 'action',
        delivery - 'generation' || jsonb_build_object('base', attempts, 'redrives', redrives)
    FROM taken
    ORDER BY id
)
SELECT target.id, target.status, taken.kind AS queue
FROM target
LEFT JOIN taken ON taken.id = target.id;
