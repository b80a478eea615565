-- Locks the running jobs of lost processes that were dispatched again $2 times already: they may well be
-- what ends those processes.
SELECT id, attempt, coalesce(attempted_at, now()) AS attempted_at, now() AS ended_at,
    attempted_by[array_upper(attempted_by, 1)] AS replica, args
FROM river.river_job
WHERE state = 'running' AND kind IN ('action', 'subscription') AND args #>> '{timer,id}' IS NOT NULL
    AND attempted_by[array_upper(attempted_by, 1)] = ANY ($1::text[])
    AND coalesce((args ->> 'generation')::integer, 0) >= $2
LIMIT $3
FOR UPDATE SKIP LOCKED;
