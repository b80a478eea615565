-- Attempts of no firing. Only those are looked at whose firing must still be in history.
WITH looked AS (
    SELECT a.timer_id, a.occurrence, a.action_id, a.attempt
    FROM minoots.attempts a
    JOIN minoots.timer_states s ON s.id = a.timer_id
    WHERE a.finished_at >= $1
        AND CASE WHEN s.recurring THEN a.started_at - interval '7 days' ELSE least(s.fire_at, s.fired_at) END
            >= (SELECT minoots.history_begins('firings'))
),
bad AS (
    SELECT timer_id || ' firing ' || occurrence || ' action ' || action_id || ' attempt ' || attempt AS what FROM looked l
    WHERE NOT EXISTS (SELECT FROM minoots.firings f WHERE f.timer_id = l.timer_id AND f.occurrence = l.occurrence)
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
