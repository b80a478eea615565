-- A page of a tenant's dead letters in one status, by age, after the cursor's. A filter that is NULL is
-- off. Planned anew for each call (the caller asks for it), so that the planner takes the index of the
-- timer for that filter, and that of tenant and status for the rest.
--
-- Ids are UUIDv7, drawn a moment after created_at: so an instant bounds them, from above with a minute to
-- spare, and what was created when needs no index of its own.
SELECT id, timer_id, occurrence, due_at, action_id, kind, phase, status, attempts, redrives, http_status,
    error_class, error, created_at, redriven_at, closed_at
FROM minoots.dead_letters
WHERE tenant_id = $1 AND status = $2 AND id > $3
    AND ($4::uuid IS NULL OR timer_id = $4)
    AND ($5::text IS NULL OR kind = $5)
    AND ($6::text IS NULL OR error_class = $6)
    AND ($7::timestamptz IS NULL OR created_at >= $7 AND id >= minoots.first_id($7))
    AND ($8::timestamptz IS NULL OR created_at < $8 AND id < minoots.first_id($8 + interval '1 minute'))
ORDER BY id
LIMIT $9;
