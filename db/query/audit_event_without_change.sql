-- Events that tell of what is not so: a firing or an attempt that is not there though history goes so
-- far back, an end other than the firing's, a cancelled timer that is not. A firing that failed may have
-- been settled since, by a redrive of what had failed.
WITH begins AS MATERIALIZED (
    SELECT minoots.history_begins('firings') AS firings, minoots.history_begins('attempts') + interval '1 day' AS attempts
),
looked AS (
    SELECT e.timer_id, e.occurrence, e.type, e.data ->> 'actionId' AS action_id, (e.data ->> 'attempt')::smallint AS attempt,
        e.occurred_at, s.status, CASE WHEN s.recurring OR s.occurrence > e.occurrence OR s.status IN ('scheduled', 'paused') THEN e.occurred_at - interval '7 days' ELSE least(s.fire_at, s.fired_at) END AS due
    FROM minoots.events e
    JOIN minoots.timer_states s ON s.id = e.timer_id
    WHERE e.occurred_at >= $1
        AND e.type IN ('timer.fired', 'timer.settled', 'timer.failed', 'timer.cancelled', 'action.succeeded', 'action.failed')
),
bad AS (
    SELECT l.timer_id || ' firing ' || l.occurrence || ' ' || l.type AS what
    FROM looked l
    LEFT JOIN minoots.firings f ON f.timer_id = l.timer_id AND f.occurrence = l.occurrence
    WHERE l.type = 'timer.fired' AND f.timer_id IS NULL AND l.due >= (SELECT firings FROM begins)
        OR l.type IN ('timer.settled', 'timer.failed') AND 'timer.' || f.status <> l.type
            AND NOT (l.type = 'timer.failed' AND f.status = 'settled' AND (
                l.occurred_at < (SELECT attempts FROM begins)
                OR EXISTS (
                    SELECT FROM minoots.attempts a
                    WHERE a.timer_id = l.timer_id AND a.occurrence = l.occurrence AND a.status = 'failed'
                )
            ))
        OR l.type = 'timer.cancelled' AND l.status <> 'cancelled'
    UNION ALL
    SELECT l.timer_id || ' firing ' || l.occurrence || ' ' || l.type || ' ' || l.action_id || ' attempt ' || l.attempt
    FROM looked l
    LEFT JOIN minoots.attempts a
        ON a.timer_id = l.timer_id AND a.occurrence = l.occurrence AND a.action_id = l.action_id AND a.attempt = l.attempt
    WHERE l.type LIKE 'action.%' AND l.occurred_at >= (SELECT attempts FROM begins) AND a.timer_id IS NULL
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
