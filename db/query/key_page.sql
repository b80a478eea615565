-- A tenant's keys by age, after one.
SELECT id, tenant_id, name, prefix, roles, created_at, revoked_at
FROM minoots.api_keys
WHERE tenant_id = $1 AND id > $2
ORDER BY id
LIMIT $3;
