-- Firings that count more ended actions than attempts show. Attempts are dated by the replica that made
-- them, which may be wrong by some time: hence the day.
WITH looked AS (
    SELECT timer_id, occurrence, ended, failed FROM minoots.firings
    WHERE due_at >= greatest($1, (SELECT minoots.history_begins('attempts')) + interval '1 day') AND ended > 0
),
tried AS (
    SELECT timer_id, occurrence, count(DISTINCT action_id) AS ended,
        count(DISTINCT action_id) FILTER (WHERE status = 'failed') AS failed
    FROM minoots.attempts
    WHERE status <> 'retrying' AND finished_at >= $1 - interval '1 day'
    GROUP BY timer_id, occurrence
),
bad AS (
    SELECT l.timer_id || ' firing ' || l.occurrence || ': ' || coalesce(t.ended, 0) || ' of ' || l.ended || ' ended, '
        || coalesce(t.failed, 0) || ' of ' || l.failed || ' failed' AS what
    FROM looked l
    LEFT JOIN tried t ON t.timer_id = l.timer_id AND t.occurrence = l.occurrence
    WHERE coalesce(t.ended, 0) < l.ended OR coalesce(t.failed, 0) < l.failed
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
