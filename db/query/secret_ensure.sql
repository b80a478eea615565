-- A tenant's first secret; the unique index on the current one lets one caller win.
INSERT INTO minoots.signing_secrets (id, tenant_id, secret, key_id, prefix)
SELECT $1, t.id, $3, $4, $5 FROM minoots.tenants t WHERE t.id = $2
ON CONFLICT DO NOTHING;
