-- The tenant's destinations that are not ordinary, by name, after $2; or one of them, $4.
SELECT destination, state, since, next_probe_at, failures, reason, waiting, waiting_since, running,
    rate_per_second, max_concurrent
FROM minoots.destination_report
WHERE tenant_id = $1 AND destination > $2 AND ($4::text IS NULL OR destination = $4)
ORDER BY destination
LIMIT $3;
