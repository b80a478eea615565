-- States whose columns cannot all be true.
WITH looked AS (
    SELECT id, status, due_at, held_due_at, paused_at, fired_at, settled_at, cancelled_at, failure_reason, occurrence, recurring
    FROM minoots.timer_states
    WHERE id >= minoots.first_id($1)
),
bad AS (
    SELECT id || ' ' || status AS what FROM looked
    WHERE (status = 'scheduled') <> (due_at IS NOT NULL)
        OR status IN ('fired', 'settled', 'failed') AND NOT recurring AND (fired_at IS NULL OR occurrence = 0)
        OR status IN ('settled', 'failed') AND settled_at IS NULL
        OR status = 'failed' AND failure_reason IS NULL
        OR status = 'cancelled' AND cancelled_at IS NULL
        OR status = 'paused' AND (held_due_at IS NULL OR paused_at IS NULL)
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
