-- Ends a key; the first revocation's time stays.
UPDATE minoots.api_keys SET revoked_at = coalesce(revoked_at, now())
WHERE tenant_id = $1 AND id = $2
RETURNING id, tenant_id, name, prefix, roles, created_at, revoked_at;
