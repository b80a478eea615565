-- Gives up what waits for a subscription that is paused, and locked.
UPDATE minoots.subscription_deliveries SET status = 'dropped', ended_at = now()
WHERE subscription_id = $1 AND status = 'paused';
