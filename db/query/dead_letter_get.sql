-- One dead letter of a tenant's, with its action as it is delivered.
SELECT id, timer_id, occurrence, due_at, action_id, kind, phase, status, attempts, redrives, http_status,
    error_class, error, created_at, redriven_at, closed_at, delivery -> 'action' AS action
FROM minoots.dead_letters
WHERE id = $1 AND tenant_id = $2;
