-- Forgets the processes that were lost more than $1 seconds ago and have no job running any more.
DELETE FROM minoots.replicas r
WHERE r.lost_at < now() - $1::float8 * interval '1 second' AND NOT EXISTS (
    SELECT FROM river.river_job j
    WHERE j.state = 'running' AND j.attempted_by[array_upper(j.attempted_by, 1)] = r.replica
);
