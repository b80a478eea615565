-- The timer that a key made, and what it was asked for.
SELECT timer_id, fingerprint FROM minoots.idempotency_keys WHERE tenant_id = $1 AND key = $2;
