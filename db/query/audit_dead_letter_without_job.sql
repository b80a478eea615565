-- Dead letters that are on their way again, and have no job: nobody would ever know what became of them.
-- A job that River or an operator has ended just now is still to be noticed by the reaper.
WITH looked AS (
    SELECT id, timer_id, occurrence, action_id FROM minoots.dead_letters
    WHERE status = 'redriven' AND created_at >= $1 AND redriven_at < now() - $3::float8 * interval '1 second'
),
jobs AS (
    SELECT (args #>> '{timer,id}')::uuid AS timer_id, (args ->> 'occurrence')::integer AS occurrence, args #>> '{action,id}' AS action_id
    FROM river.river_job
    WHERE kind = 'action' AND args ->> 'redrives' IS NOT NULL AND (state::text NOT IN ('completed', 'cancelled', 'discarded')
        OR finalized_at > now() - $3::float8 * interval '1 second')
),
bad AS (
    SELECT l.id || ' of ' || l.timer_id || ' firing ' || l.occurrence || ' action ' || l.action_id AS what
    FROM looked l
    WHERE NOT EXISTS (
        SELECT FROM jobs j WHERE j.timer_id = l.timer_id AND j.occurrence = l.occurrence AND j.action_id = l.action_id
    )
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
