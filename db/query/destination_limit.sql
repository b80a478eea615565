-- Sets the limits of a destination: deliveries a second and attempts at once, of all replicas together.
INSERT INTO minoots.destinations (tenant_id, destination, queue, rate_per_second, max_concurrent)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, destination) DO UPDATE
SET rate_per_second = excluded.rate_per_second, max_concurrent = excluded.max_concurrent, token_at = '-infinity';
