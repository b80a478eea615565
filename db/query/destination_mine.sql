-- The deliveries to a destination that replica $2 has running. Runs under the lock of the destination's
-- row, so that a take whose answer was lost is over, one way or the other.
SELECT id, attempt FROM river.river_job
WHERE state = 'running' AND queue = $1 AND attempted_by[array_upper(attempted_by, 1)] = $2;
