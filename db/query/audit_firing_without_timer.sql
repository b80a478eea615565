-- Firings of no timer, that run or that ended so lately ($3 seconds) that retention cannot have removed
-- their timer.
WITH looked AS (
    SELECT timer_id, occurrence, status FROM minoots.firings
    WHERE due_at >= $1
        AND (status = 'running' OR coalesce(settled_at, fired_at) >= now() - $3::float8 * interval '1 second')
),
bad AS (
    SELECT timer_id || ' firing ' || occurrence || ' ' || status AS what FROM looked l
    WHERE NOT EXISTS (SELECT FROM minoots.timer_states s WHERE s.id = l.timer_id)
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
