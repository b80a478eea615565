-- One timer of a tenant, with its last firing.
SELECT t.id, t.tenant_id, t.name, t.requested_by, s.status, t.created_at, s.updated_at, s.fire_at,
    t.duration_us, s.fired_at, s.settled_at, s.cancelled_at, s.cancel_reason, s.cancelled_by,
    s.failure_reason, s.occurrence, s.version, t.labels, t.metadata, t.bundle, t.agent_binding,
    t.recurrence, t.misfire, t.jitter_ms,
    f.occurrence, f.status, f.due_at, f.fired_at, f.settled_at, f.reason, f.actions, f.failed
FROM minoots.timers t
JOIN minoots.timer_states s ON s.id = t.id
LEFT JOIN minoots.firings f ON f.timer_id = s.id AND f.occurrence = s.occurrence
WHERE t.id = $1 AND t.tenant_id = $2 AND s.tenant_id = $2;
