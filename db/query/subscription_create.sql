-- Makes a subscription, unless the tenant has $8 already: then there is no row. The lock on the tenant's row
-- is what makes two requests at once count one after the other.
WITH owner AS MATERIALIZED (SELECT id FROM minoots.tenants WHERE id = $2 FOR NO KEY UPDATE)
INSERT INTO minoots.subscriptions (id, tenant_id, name, url, topics, timer_id, headers, headers_sealed, headers_key, header_names, retry_policy, after)
SELECT $1, owner.id, $3, $4, $5, $6, $10, $11, $12, $13, $7, $9
FROM owner
WHERE (SELECT count(*) FROM minoots.subscriptions s WHERE s.tenant_id = owner.id) < $8::integer
RETURNING id, tenant_id, name, url, topics, timer_id, coalesce(header_names, ARRAY(SELECT jsonb_object_keys(headers))) AS header_names, retry_policy, status,
    paused_reason, paused_at, created_at, updated_at, version;
