-- The timers that a tenant's keys made, and what they were asked for.
SELECT key, timer_id, fingerprint FROM minoots.idempotency_keys WHERE tenant_id = $1 AND key = ANY ($2::text[]);
