-- Firings whose counts and status cannot all be true.
WITH looked AS (
    SELECT timer_id, occurrence, status, actions, stopped, ended, failed, settled_at, reason FROM minoots.firings
    WHERE due_at >= $1
),
bad AS (
    SELECT timer_id || ' firing ' || occurrence || ' ' || status || ': ' || ended || ' of ' || actions || ', failed ' || failed AS what
    FROM looked
    WHERE ended > coalesce(stopped, actions) OR failed > ended OR stopped > actions
        OR status = 'running' AND (settled_at IS NOT NULL OR ended = coalesce(stopped, actions))
        OR status IN ('settled', 'failed') AND settled_at IS NULL
        OR status = 'settled' AND (ended < actions OR failed > 0)
        OR status = 'failed' AND failed = 0 AND reason IS NULL
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
