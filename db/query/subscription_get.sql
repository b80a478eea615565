-- One subscription of a tenant.
SELECT id, tenant_id, name, url, topics, timer_id, coalesce(header_names, ARRAY(SELECT jsonb_object_keys(headers))) AS header_names, retry_policy, status,
    paused_reason, paused_at, created_at, updated_at, version
FROM minoots.subscriptions
WHERE id = $1 AND tenant_id = $2;
