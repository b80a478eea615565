-- Jobs that would act for a firing that is over or gone. A compensation is of one that has ended, and a
-- redrive of a dead letter, whose firing may be gone.
WITH looked AS (
    SELECT id, (args #>> '{timer,id}')::uuid AS timer_id, (args ->> 'occurrence')::integer AS occurrence,
        (args ->> 'dueAt')::timestamptz AS due_at, args #>> '{action,id}' AS action_id,
        args ->> 'redrives' IS NOT NULL AS redriven, args ->> 'phase' IS NOT DISTINCT FROM 'compensation' AS compensates
    FROM river.river_job
    WHERE kind = 'action' AND state::text NOT IN ('completed', 'cancelled', 'discarded')
        AND created_at >= $1 AND created_at < now() - $3::float8 * interval '1 second'
),
bad AS (
    SELECT 'job ' || id || ' of ' || coalesce(timer_id::text, 'no timer') || ' firing ' || coalesce(occurrence, 0) AS what
    FROM looked l
    WHERE NOT redriven AND NOT EXISTS (
            SELECT FROM minoots.firings f
            WHERE f.timer_id = l.timer_id AND f.occurrence = l.occurrence AND f.due_at = l.due_at
                AND (f.status = 'running') <> l.compensates
        )
        OR redriven AND NOT EXISTS (
            SELECT FROM minoots.dead_letters d
            WHERE d.timer_id = l.timer_id AND d.occurrence = l.occurrence AND d.action_id = l.action_id AND d.status = 'redriven'
        )
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
