-- Idempotency keys whose timer is gone: a repeat of the create would find nothing. Retention keeps a
-- timer longer than its key.
WITH looked AS (
    SELECT tenant_id, key, timer_id FROM minoots.idempotency_keys WHERE created_at >= $1
),
bad AS (
    SELECT timer_id || ' of ' || tenant_id AS what FROM looked l
    WHERE NOT EXISTS (SELECT FROM minoots.timer_states s WHERE s.id = l.timer_id)
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
