-- What may be said of a tenant's live secrets, the current one first.
SELECT id, coalesce(prefix, '') AS prefix, created_at, expires_at, shown_at
FROM minoots.signing_secrets
WHERE tenant_id = $1 AND (expires_at IS NULL OR expires_at > now())
ORDER BY expires_at DESC NULLS FIRST, id DESC
LIMIT 2;
