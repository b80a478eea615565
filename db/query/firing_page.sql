-- Firings of a timer after an occurrence, in order.
SELECT f.timer_id, f.occurrence, f.status, f.due_at, f.fired_at, f.settled_at, f.reason, f.actions, f.failed
FROM minoots.firings f
WHERE f.timer_id = $1 AND f.tenant_id = $2 AND f.occurrence > $3
ORDER BY f.occurrence
LIMIT $4;
