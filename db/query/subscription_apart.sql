-- Has the deliveries of a subscription wait in its lane for $2 seconds, those that have a job too: it is slow,
-- or has very many, and the others' shall not wait behind them. The subscription is locked first, as for a pause:
-- deliveries that are being made come before, and are moved, or after, and go there.
WITH apart AS MATERIALIZED (
    UPDATE minoots.subscriptions SET apart_until = now() + $2::float8 * interval '1 second'
    WHERE id = $1::uuid
    RETURNING id
)
UPDATE river.river_job j SET queue = minoots.subscription_lane(apart.id)
FROM apart
WHERE j.kind = 'subscription' AND j.args #>> '{subscription,id}' = apart.id::text
    AND j.queue = 'subscription' AND j.state::text IN ('available', 'retryable', 'scheduled');
