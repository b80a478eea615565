-- A new key of a tenant, as its hash.
INSERT INTO minoots.api_keys (id, tenant_id, name, prefix, hash, roles)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id, tenant_id, name, prefix, roles, created_at, revoked_at;
