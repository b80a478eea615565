-- Tenants by id, after one.
SELECT id, name, created_at FROM minoots.tenants WHERE id > $1 ORDER BY id LIMIT $2;
