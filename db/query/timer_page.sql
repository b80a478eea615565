-- A page of a tenant's timers, by due time and id, after the cursor's. A filter that is NULL is off.
-- Planned anew for each call (the caller asks for it), so that the planner sees which filters are on
-- and takes their index.
--
-- The tenant of "t" is named only where an index begins with it: it is that of "s" anyway, and the
-- planner, which takes the two for independent, would expect a small tenant to have next to nothing
-- and read all timers to find it.
SELECT t.id, t.tenant_id, t.name, t.requested_by, s.status, t.created_at, s.updated_at, s.fire_at,
    t.duration_us, s.fired_at, s.settled_at, s.cancelled_at, s.cancel_reason, s.cancelled_by,
    s.failure_reason, s.occurrence, s.version, t.labels, t.metadata, t.bundle, t.agent_binding,
    t.recurrence, t.misfire, t.jitter_ms,
    f.occurrence, f.status, f.due_at, f.fired_at, f.settled_at, f.reason, f.actions, f.failed
FROM minoots.timer_states s
JOIN minoots.timers t ON t.id = s.id
LEFT JOIN minoots.firings f ON f.timer_id = s.id AND f.occurrence = s.occurrence
WHERE s.tenant_id = $1
    AND ($2::timestamptz IS NULL OR (s.fire_at, s.id) > ($2, $3::uuid))
    AND ($4::text[] IS NULL OR s.status = ANY ($4))
    AND ($5::text IS NULL OR (t.tenant_id = $1 AND t.name = $5 AND t.name <> ''))
    AND ($6::text IS NULL OR (t.tenant_id = $1 AND t.requested_by = $6 AND t.requested_by <> ''))
    AND ($7::jsonb IS NULL OR (t.labels @> $7 AND t.labels IS NOT NULL))
    AND ($8::timestamptz IS NULL OR s.fire_at >= $8)
    AND ($9::timestamptz IS NULL OR s.fire_at < $9)
ORDER BY s.fire_at, s.id
LIMIT $10;
