-- A page of a tenant's subscriptions, by age, after the cursor's.
SELECT id, tenant_id, name, url, topics, timer_id, headers, retry_policy, status, paused_reason, paused_at, created_at, updated_at, version
FROM minoots.subscriptions
WHERE tenant_id = $1 AND id > $2
ORDER BY id
LIMIT $3;
