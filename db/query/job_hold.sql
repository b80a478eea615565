-- Puts running jobs of this replica back, without the attempt: into the queues in which they wait for
-- their destination.
--
-- As new rows, because River's word on a job that it had fetched is not fenced by attempt: it comes a
-- moment later, and must find no row. One that another has taken over meanwhile is left alone.
WITH taken AS (
    DELETE FROM river.river_job j
    USING unnest($2::bigint[], $3::smallint[], $4::text[]) AS g (id, attempt, queue)
    WHERE j.id = g.id AND j.attempt = g.attempt AND j.state::text = 'running'
        AND j.attempted_by[array_upper(j.attempted_by, 1)] = $1
    RETURNING j.id, j.args, j.kind, g.queue, j.priority, j.attempt, j.max_attempts,
        trim_array(j.attempted_by, 1) AS attempted_by, j.errors, j.metadata, j.tags, j.created_at, j.scheduled_at
)
INSERT INTO river.river_job (state, args, kind, queue, priority, attempt, max_attempts, attempted_by,
    errors, metadata, tags, created_at, scheduled_at)
SELECT 'available', args, kind, queue, priority, attempt - 1, max_attempts, nullif(attempted_by, '{}'),
    errors, metadata, tags, created_at, scheduled_at
FROM taken
ORDER BY id;
