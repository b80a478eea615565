-- Strikes off a process that has ended its work, unless jobs of its are running all the same: then it
-- stays, to be found lost.
DELETE FROM minoots.replicas r
WHERE r.replica = $1 AND NOT EXISTS (
    SELECT FROM river.river_job j
    WHERE j.state = 'running' AND j.attempted_by[array_upper(j.attempted_by, 1)] = $1
);
