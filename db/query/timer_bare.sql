-- One timer of a tenant, without its last firing, which timer_get.sql looks for in every partition: for
-- timers that are changed, of which most have not fired. Not timer_many.sql, which with an array is planned
-- anew for each call, and that takes longer than to run it.
SELECT t.id, t.tenant_id, t.name, t.requested_by, s.status, t.created_at, s.updated_at, s.fire_at,
    t.duration_us, s.fired_at, s.settled_at, s.cancelled_at, s.cancel_reason, s.cancelled_by,
    s.failure_reason, s.occurrence, s.version, t.labels, t.metadata, t.bundle, t.agent_binding,
    t.recurrence, t.misfire, t.jitter_ms,
    NULL::integer, NULL::text, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::text, NULL::smallint, NULL::smallint
FROM minoots.timers t
JOIN minoots.timer_states s ON s.id = t.id
WHERE t.id = $1 AND t.tenant_id = $2 AND s.tenant_id = $2;
