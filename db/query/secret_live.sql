-- The live secrets of a tenant, the current one first.
SELECT id, secret, coalesce(key_id, '') AS key_id, created_at, expires_at
FROM minoots.signing_secrets
WHERE tenant_id = $1 AND (expires_at IS NULL OR expires_at > now())
ORDER BY expires_at DESC NULLS FIRST, id DESC
LIMIT 2;
