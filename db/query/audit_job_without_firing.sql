-- Jobs that would act for a firing that is over or gone.
WITH looked AS (
    SELECT id, (args #>> '{timer,id}')::uuid AS timer_id, (args ->> 'occurrence')::integer AS occurrence,
        (args ->> 'dueAt')::timestamptz AS due_at
    FROM river.river_job
    WHERE kind = 'action' AND state::text NOT IN ('completed', 'cancelled', 'discarded')
        AND created_at >= $1 AND created_at < now() - $3::float8 * interval '1 second'
),
bad AS (
    SELECT 'job ' || id || ' of ' || coalesce(timer_id::text, 'no timer') || ' firing ' || coalesce(occurrence, 0) AS what
    FROM looked l
    WHERE NOT EXISTS (
        SELECT FROM minoots.firings f
        WHERE f.timer_id = l.timer_id AND f.occurrence = l.occurrence AND f.due_at = l.due_at AND f.status = 'running'
    )
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
