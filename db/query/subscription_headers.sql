-- The headers of a subscription, as they stand or sealed with a key ('' for none), and as of which version.
SELECT coalesce(headers_sealed, convert_to(headers::text, 'UTF8')) AS headers, coalesce(headers_key, '') AS key_id, version
FROM minoots.subscriptions
WHERE id = $1 AND tenant_id = $2;
