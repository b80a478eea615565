-- Has a delivery that has ended wait again, under its id, with the attempts of the policy anew. The
-- subscription is locked. No row: it is under way, or there is none ("there" tells which).
WITH again AS (
    UPDATE minoots.subscription_deliveries d
    SET status = CASE s.status WHEN 'paused' THEN 'paused' ELSE 'waiting' END, base = d.attempts, ended_at = NULL
    FROM minoots.subscriptions s
    WHERE d.id = $2 AND d.subscription_id = $1 AND s.id = $1 AND d.status IN ('delivered', 'failed', 'dropped') AND d.attempts <= $3::integer
    RETURNING d.id, d.subscription_id, d.seq::text, d.type, d.timer_id, d.status, d.attempts, d.http_status, d.error_class, d.error,
        d.response, d.created_at, d.ended_at
)
SELECT again.id IS NOT NULL AS done, d.id, d.subscription_id, d.seq::text, d.type, d.timer_id, coalesce(again.status, d.status) AS status, d.attempts,
    d.http_status, d.error_class, d.error, d.response, d.created_at, CASE WHEN again.id IS NULL THEN d.ended_at END AS ended_at
FROM minoots.subscription_deliveries d
LEFT JOIN again ON true
WHERE d.id = $2 AND d.subscription_id = $1;
