-- Writes a subscription that is locked.
UPDATE minoots.subscriptions
SET name = $2, url = $3, topics = $4, timer_id = $5, retry_policy = $6, headers = $7, headers_sealed = $8, headers_key = $9,
    header_names = $10, updated_at = now(), version = version + 1
WHERE id = $1
RETURNING id, tenant_id, name, url, topics, timer_id, coalesce(header_names, ARRAY(SELECT jsonb_object_keys(headers))) AS header_names, retry_policy, status,
    paused_reason, paused_at, created_at, updated_at, version;
