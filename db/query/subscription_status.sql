-- Pauses ($2) a subscription that is locked, or has it go on; $3 is why it is paused, and $4 whether what has
-- waited is to be sent.
UPDATE minoots.subscriptions
SET status = CASE WHEN $2::boolean THEN 'paused' ELSE 'active' END, paused_at = CASE WHEN $2 THEN now() END,
    paused_reason = $3, resuming = $4, updated_at = now(), version = version + 1
WHERE id = $1
RETURNING id, tenant_id, name, url, topics, timer_id, coalesce(header_names, ARRAY(SELECT jsonb_object_keys(headers))) AS header_names, retry_policy, status,
    paused_reason, paused_at, created_at, updated_at, version;
