-- A new current secret, which the caller is shown. The current one so far expires after the grace, one that
-- was expiring ends now. The insert reads the update, so that it runs after it: the unique index allows one
-- current secret, and of two rotations at once the second gets a conflict.
WITH ended AS (
    UPDATE minoots.signing_secrets
    SET expires_at = CASE WHEN expires_at IS NULL THEN now() + $4::bigint * interval '1 microsecond' ELSE now() END
    WHERE tenant_id = $2 AND (expires_at IS NULL OR expires_at > now())
    RETURNING 1
)
INSERT INTO minoots.signing_secrets (id, tenant_id, secret, key_id, prefix, shown_at)
SELECT $1, t.id, $3, $5, $6, now() FROM minoots.tenants t, (SELECT count(*) FROM ended) AS done
WHERE t.id = $2
RETURNING created_at, expires_at;
