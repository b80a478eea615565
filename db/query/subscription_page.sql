-- A page of a tenant's subscriptions, by age, after the cursor's.
SELECT id, tenant_id, name, url, topics, timer_id, coalesce(header_names, ARRAY(SELECT jsonb_object_keys(headers))) AS header_names, retry_policy, status,
    paused_reason, paused_at, created_at, updated_at, version
FROM minoots.subscriptions
WHERE tenant_id = $1 AND id > $2
ORDER BY id
LIMIT $3;
