-- Takes the jobs of a subscription away: its deliveries wait for it. An attempt that is under way ends.
WITH gone AS (
    DELETE FROM river.river_job
    WHERE kind = 'subscription' AND state::text IN ('available', 'retryable', 'scheduled', 'pending')
        AND args #>> '{subscription,id}' = $1::uuid::text
    RETURNING (args #>> '{subscription,deliveryId}')::uuid AS id
)
UPDATE minoots.subscription_deliveries d SET status = 'paused'
WHERE d.id IN (SELECT id FROM gone) AND d.status = 'waiting';
