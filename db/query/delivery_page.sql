-- A page of a subscription's log, the newest first, before the cursor's ($3, NULL for the first page).
SELECT d.id, d.subscription_id, d.seq::text, d.type, d.timer_id, d.status, d.attempts, d.http_status, d.error_class, d.error, d.response,
    d.created_at, d.ended_at
FROM minoots.subscription_deliveries d
WHERE d.subscription_id = $1 AND ($2::text IS NULL OR d.status = $2) AND ($3::uuid IS NULL OR d.id < $3)
ORDER BY d.id DESC
LIMIT $4;
