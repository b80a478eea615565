-- Parked jobs that nothing will wake: without the acknowledgement that they wait for, or with one whose time
-- has long been over ($3 seconds).
WITH looked AS (
    SELECT id, args #>> '{timer,id}' AS timer_id, args ->> 'occurrence' AS occurrence FROM river.river_job
    WHERE kind = 'action' AND state = 'pending' AND created_at >= $1
),
bad AS (
    SELECT 'job ' || id || ' of ' || coalesce(timer_id, 'no timer') || ' firing ' || coalesce(occurrence, '0') AS what
    FROM looked l
    WHERE NOT EXISTS (
        SELECT FROM minoots.acknowledgements a
        WHERE a.job_id = l.id AND a.status = 'waiting' AND a.expires_at > now() - $3::float8 * interval '1 second'
    )
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
