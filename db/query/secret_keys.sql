-- Counts what all tenants have that is to be sealed, signing secrets and the headers of subscriptions, by the
-- operator's key that sealed it, for operators; '' is for what stands as it is.
SELECT coalesce(key_id, '') AS key_id, count(*) AS secrets, count(*) FILTER (WHERE live) AS live
FROM (
    SELECT key_id, expires_at IS NULL OR expires_at > now() AS live FROM minoots.signing_secrets
    UNION ALL
    SELECT headers_key, true FROM minoots.subscriptions WHERE headers_sealed IS NOT NULL OR headers <> '{}'
) AS kept
GROUP BY 1
ORDER BY 1;
