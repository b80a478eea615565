-- What is to be known of a paused recurring timer to compute when it is due next.
SELECT s.version, s.occurrence, s.fire_at, coalesce(s.held_due_at, s.due_at, s.fire_at) AS due_at, coalesce(s.unarmed, false) AS unarmed,
    t.jitter_ms, t.recurrence, coalesce(t.anchor, t.created_at) AS anchor
FROM minoots.timer_states s
JOIN minoots.timers t ON t.id = s.id
WHERE s.id = $1 AND s.tenant_id = $2 AND t.tenant_id = $2 AND t.recurrence IS NOT NULL;
