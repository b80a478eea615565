-- Renews a lease by $2 seconds, unless its process was found lost meanwhile: no row then.
UPDATE minoots.replicas
SET lease_until = clock_timestamp() + $2::float8 * interval '1 second'
WHERE replica = $1 AND lost_at IS NULL
RETURNING slot;
