-- Firings that the log has begin or end more than once.
WITH looked AS (
    SELECT timer_id, occurrence, type, count(*) AS events
    FROM minoots.events
    WHERE occurred_at >= $1 AND type IN ('timer.fired', 'timer.settled', 'timer.failed')
    GROUP BY 1, 2, 3
),
bad AS (
    SELECT timer_id || ' firing ' || occurrence || ' ' || type || ' ' || events || ' times' AS what FROM looked WHERE events > 1
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
