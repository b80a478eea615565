-- Timers that are due for longer than $3 seconds and that no kernel has claimed.
WITH looked AS (
    SELECT id, due_at FROM minoots.timer_states WHERE due_at >= $1
),
bad AS (
    SELECT id || ' since ' || to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS what FROM looked
    WHERE due_at < now() - $3::float8 * interval '1 second'
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
