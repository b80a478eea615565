-- Locks a subscription that goes on after a pause and has deliveries that waited; one that another is at is left
-- to that. What waits is looked for by the next statement, which then sees all of it.
SELECT id FROM minoots.subscriptions
WHERE resuming AND status = 'active'
ORDER BY id
LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED;
