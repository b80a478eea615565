-- Replaces a live key by a new one with its name and roles. A key with a right that the caller may
-- not grant is left as it is, like one that is not there.
WITH ended AS (
    UPDATE minoots.api_keys SET revoked_at = now()
    WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL AND roles <@ $6::text[]
    RETURNING tenant_id, name, roles
)
INSERT INTO minoots.api_keys (id, tenant_id, name, prefix, hash, roles)
SELECT $3, tenant_id, name, $4, $5, roles FROM ended
RETURNING id, tenant_id, name, prefix, roles, created_at, revoked_at;
