-- Occurrences that fired more than once: the primary key holds only within a week, because a partition
-- key must be in it.
WITH looked AS (
    SELECT timer_id, occurrence, count(*) AS firings FROM minoots.firings
    WHERE due_at >= $1
    GROUP BY timer_id, occurrence
),
bad AS (
    SELECT timer_id || ' firing ' || occurrence || ': ' || firings || ' times' AS what FROM looked WHERE firings > 1
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
