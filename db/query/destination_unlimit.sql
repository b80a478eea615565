-- Takes a destination's limits away, and forgets it if its breaker is closed: what waits is then found by
-- destination_release.sql.
WITH forgotten AS (
    DELETE FROM minoots.destinations
    WHERE tenant_id = $1 AND destination = $2 AND state = 'closed'
    RETURNING queue
)
UPDATE minoots.destinations
SET rate_per_second = NULL, max_concurrent = NULL
WHERE tenant_id = $1 AND destination = $2 AND state <> 'closed';
