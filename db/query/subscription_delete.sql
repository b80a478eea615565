-- Removes a subscription. Its log goes with the history, and the job of an attempt under way with its outcome.
DELETE FROM minoots.subscriptions WHERE id = $1 AND tenant_id = $2;
