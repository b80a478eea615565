-- Gives a dead letter up, and tells the status that it had. Only a dead one is: of one that is on its way
-- again nobody knows yet what becomes.
WITH target AS MATERIALIZED (
    SELECT id, status FROM minoots.dead_letters
    WHERE id = $1 AND tenant_id = $2
    FOR UPDATE
),
discarded AS (
    UPDATE minoots.dead_letters d
    SET status = 'discarded', closed_at = now()
    FROM target
    WHERE d.id = target.id AND target.status = 'dead'
)
SELECT status FROM target;
