-- Changes of state that are not in the log: a timer made, paused, fired, ended or cancelled, an attempt
-- made, a dead letter. A paused timer's paused_at is the instant of its pause, or of an update of when it fires.
-- Attempts are dated by the replica that made them, which may be wrong by some time: hence the day.
WITH since AS MATERIALIZED (
    SELECT greatest($1, minoots.history_begins('events') + interval '1 day') AS at
),
looked AS (
    SELECT id AS timer_id, 'timer.scheduled' AS type, 0 AS occurrence, '' AS action_id, 0 AS attempt FROM minoots.timers
    WHERE created_at >= (SELECT at FROM since)
    UNION ALL
    SELECT id, 'timer.cancelled', 0, '', 0 FROM minoots.timer_states
    WHERE status = 'cancelled' AND cancelled_at >= (SELECT at FROM since)
    UNION ALL
    SELECT id, 'timer.paused', 0, '', 0 FROM minoots.timer_states
    WHERE status = 'paused' AND paused_at >= (SELECT at FROM since)
    UNION ALL
    SELECT timer_id, 'timer.fired', occurrence, '', 0 FROM minoots.firings
    WHERE due_at >= (SELECT at - interval '1 day' FROM since) AND fired_at >= (SELECT at FROM since) AND status <> 'skipped'
    UNION ALL
    SELECT timer_id, 'timer.' || status, occurrence, '', 0 FROM minoots.firings
    WHERE due_at >= (SELECT at - interval '1 day' FROM since) AND settled_at >= (SELECT at FROM since)
        AND status IN ('settled', 'failed')
    UNION ALL
    SELECT timer_id, CASE status WHEN 'succeeded' THEN 'action.succeeded' ELSE 'action.failed' END,
        occurrence, action_id, attempt
    FROM minoots.attempts
    WHERE finished_at >= (SELECT at FROM since)
    UNION ALL
    SELECT timer_id, 'action.dead_lettered', occurrence, action_id, 0 FROM minoots.dead_letters
    WHERE created_at >= (SELECT at FROM since)
),
logged AS (
    SELECT timer_id, type, CASE WHEN type IN ('timer.scheduled', 'timer.cancelled') THEN 0 ELSE occurrence END AS occurrence,
        coalesce(data ->> 'actionId', '') AS action_id,
        CASE WHEN type = 'action.dead_lettered' THEN 0 ELSE coalesce((data ->> 'attempt')::integer, 0) END AS attempt
    FROM minoots.events
    WHERE occurred_at >= (SELECT at - interval '1 day' FROM since)
        AND type IN ('timer.scheduled', 'timer.cancelled', 'timer.fired', 'timer.settled', 'timer.failed', 'action.succeeded', 'action.failed', 'action.dead_lettered')
    UNION ALL
    SELECT e.timer_id, 'timer.paused', 0, '', 0
    FROM minoots.events e
    JOIN minoots.timer_states s ON s.id = e.timer_id AND s.paused_at = e.occurred_at
    WHERE e.occurred_at >= (SELECT at FROM since) AND e.type IN ('timer.paused', 'timer.updated')
),
bad AS (
    SELECT timer_id || ' ' || type || CASE WHEN occurrence > 0 THEN ' firing ' || occurrence ELSE '' END
        || CASE WHEN attempt > 0 THEN ' action ' || action_id || ' attempt ' || attempt ELSE '' END AS what
    FROM looked l
    WHERE NOT EXISTS (
        SELECT FROM logged e
        WHERE e.timer_id = l.timer_id AND e.type = l.type AND e.occurrence = l.occurrence
            AND e.action_id = l.action_id AND e.attempt = l.attempt
    )
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
