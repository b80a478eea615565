-- Firings before their due instant.
WITH looked AS (
    SELECT timer_id, occurrence, due_at, fired_at FROM minoots.firings WHERE due_at >= $1 AND status <> 'skipped'
),
bad AS (
    SELECT timer_id || ' firing ' || occurrence || ' by ' || (due_at - fired_at) AS what FROM looked WHERE fired_at < due_at
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
