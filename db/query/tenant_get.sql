-- One tenant.
SELECT id, name, created_at FROM minoots.tenants WHERE id = $1;
