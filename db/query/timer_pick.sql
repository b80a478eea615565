-- Many timers by their ids ($1), of these tenants ($2), each with its last firing; only those that are
-- over, if $3, and no more than $4: one statement for all who wait on a replica.
SELECT t.id, t.tenant_id, t.name, t.requested_by, s.status, t.created_at, s.updated_at, s.fire_at,
    t.duration_us, s.fired_at, s.settled_at, s.cancelled_at, s.cancel_reason, s.cancelled_by,
    s.failure_reason, s.occurrence, s.version, t.labels, t.metadata, t.bundle, t.agent_binding,
    t.recurrence, t.misfire, t.jitter_ms,
    f.occurrence, f.status, f.due_at, f.fired_at, f.settled_at, f.reason, f.actions, f.failed
FROM (
    SELECT s.id, s.status, s.updated_at, s.fire_at, s.fired_at, s.settled_at, s.cancelled_at, s.cancel_reason, s.cancelled_by,
        s.failure_reason, s.occurrence, s.version
    FROM minoots.timer_states s
    WHERE s.id = ANY ($1::uuid[]) AND s.tenant_id = ANY ($2::text[]) AND (NOT $3::boolean OR s.status IN ('settled', 'failed', 'cancelled'))
    LIMIT $4
) AS s
JOIN minoots.timers t ON t.id = s.id
LEFT JOIN minoots.firings f ON f.timer_id = s.id AND f.occurrence = s.occurrence;
