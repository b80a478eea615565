-- Timers that stand nowhere: without a state a timer neither fires nor can be read.
WITH looked AS (
    SELECT id FROM minoots.timers WHERE created_at >= $1
),
bad AS (
    SELECT id::text AS what FROM looked t
    WHERE NOT EXISTS (SELECT FROM minoots.timer_states s WHERE s.id = t.id)
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
