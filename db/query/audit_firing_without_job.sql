-- Running firings with fewer jobs than they have actions under way: nothing will ever end them. How
-- many must be under way: those started, of which there are no more than actions, but for those ended.
-- A bundle that has stopped starts no more. Compensations and redrives are of firings that have ended.
-- A job that River or an operator has ended just now is still to be noticed by the reaper.
WITH jobs AS (
    SELECT (args #>> '{timer,id}')::uuid AS timer_id, (args ->> 'occurrence')::integer AS occurrence,
        count(DISTINCT args #>> '{action,id}') AS live
    FROM river.river_job
    WHERE kind = 'action' AND args ->> 'redrives' IS NULL AND args ->> 'phase' IS DISTINCT FROM 'compensation' AND (state::text NOT IN ('completed', 'cancelled', 'discarded')
        OR finalized_at > now() - $3::float8 * interval '1 second')
    GROUP BY 1, 2
),
looked AS (
    SELECT timer_id, occurrence, least(started, actions) - ended AS under_way FROM minoots.firings
    WHERE status = 'running' AND due_at >= $1 AND fired_at < now() - $3::float8 * interval '1 second'
),
bad AS (
    SELECT l.timer_id || ' firing ' || l.occurrence || ': ' || coalesce(live, 0) || ' of ' || under_way AS what
    FROM looked l
    LEFT JOIN jobs ON jobs.timer_id = l.timer_id AND jobs.occurrence = l.occurrence
    WHERE coalesce(live, 0) < under_way
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
