-- Counts all tenants' signing secrets by the operator's key that sealed them, for operators; '' is for those
-- that stand as they are.
SELECT coalesce(key_id, '') AS key_id, count(*) AS secrets,
    count(*) FILTER (WHERE expires_at IS NULL OR expires_at > now()) AS live
FROM minoots.signing_secrets
GROUP BY 1
ORDER BY 1;
