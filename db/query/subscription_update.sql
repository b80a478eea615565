-- Writes a subscription that is locked.
UPDATE minoots.subscriptions
SET name = $2, url = $3, topics = $4, timer_id = $5, headers = $6, retry_policy = $7, updated_at = now(), version = version + 1
WHERE id = $1
RETURNING id, tenant_id, name, url, topics, timer_id, headers, retry_policy, status, paused_reason, paused_at, created_at, updated_at, version;
