-- Takes the one showing of a tenant's current secret; of two callers at once, the second waits for the
-- first and gets no row.
UPDATE minoots.signing_secrets
SET shown_at = now()
WHERE tenant_id = $1 AND expires_at IS NULL AND shown_at IS NULL
RETURNING id, secret, coalesce(key_id, '') AS key_id, created_at, expires_at;
