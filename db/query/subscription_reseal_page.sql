-- The subscriptions of all tenants, after an id, whose headers are not sealed with the operator's key $1 ('' for
-- plain), with their headers as they stand or sealed.
SELECT id, tenant_id, coalesce(headers_sealed, convert_to(headers::text, 'UTF8')) AS headers, coalesce(headers_key, '') AS key_id
FROM minoots.subscriptions
WHERE coalesce(headers_key, '') <> $1 AND (headers_sealed IS NOT NULL OR headers <> '{}') AND id > $2
ORDER BY id
LIMIT $3;
