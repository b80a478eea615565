-- Has the oldest $2 deliveries wait for a job that have waited for subscription $1, which is locked, to go on.
-- With the last of them it has gone on.
WITH oldest AS MATERIALIZED (
    SELECT d.id FROM minoots.subscription_deliveries d
    WHERE d.subscription_id = $1 AND d.status = 'paused'
    ORDER BY d.id
    LIMIT $2
),
ended AS (
    UPDATE minoots.subscriptions SET resuming = false
    WHERE id = $1 AND (SELECT count(*) FROM oldest) < $2::bigint
)
UPDATE minoots.subscription_deliveries d SET status = 'waiting'
FROM oldest WHERE d.id = oldest.id
RETURNING d.id;
