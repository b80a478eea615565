-- Removes old keys, oldest first, a bounded number of them. Rows that another replica is removing are
-- left to it.
DELETE FROM minoots.idempotency_keys
WHERE (tenant_id, key) IN (
    SELECT tenant_id, key FROM minoots.idempotency_keys
    WHERE created_at < now() - $1::float8 * interval '1 second'
    ORDER BY created_at
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
);
