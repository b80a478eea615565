-- The secrets of all tenants, after an id, that are not sealed with the operator's key $1 ('' for plain).
SELECT id, tenant_id, secret, coalesce(key_id, '') AS key_id
FROM minoots.signing_secrets
WHERE coalesce(key_id, '') <> $1 AND id > $2
ORDER BY id
LIMIT $3;
