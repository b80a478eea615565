-- Makes jobs that River has ended itself running again, for the transaction that records their end. River
-- discards what it rescued too often, and an operator may cancel in its UI: neither tells our firings.
UPDATE river.river_job
SET state = 'running', finalized_at = NULL
WHERE id = ANY (ARRAY(
    SELECT id FROM river.river_job
    WHERE state IN ('discarded', 'cancelled') AND kind IN ('action', 'subscription') AND args #>> '{timer,id}' IS NOT NULL
    LIMIT $1
    FOR UPDATE SKIP LOCKED
))
RETURNING id, attempt, coalesce(attempted_at, now()) AS attempted_at, now() AS ended_at,
    coalesce(attempted_by[array_upper(attempted_by, 1)], '') AS replica, args;
