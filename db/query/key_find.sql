-- Who holds the key with this hash.
SELECT id, tenant_id, roles FROM minoots.api_keys WHERE hash = $1 AND revoked_at IS NULL;
