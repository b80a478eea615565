-- Locks a subscription for a change of it. The sender takes the same row FOR SHARE before it makes deliveries:
-- those that it made before stand in the log by now, and those that it makes after see the change.
SELECT id, tenant_id, name, url, topics, timer_id, coalesce(header_names, ARRAY(SELECT jsonb_object_keys(headers))) AS header_names, retry_policy, status,
    paused_reason, paused_at, created_at, updated_at, version
FROM minoots.subscriptions
WHERE id = $1 AND tenant_id = $2
FOR UPDATE;
