-- Closes the breaker of a destination, and forgets the destination unless it has limits: when it has
-- recovered, and when nothing has gone to it for ten minutes after it could have been tried again. What
-- still waits is found by destination_release.sql.
WITH over AS MATERIALIZED (
    SELECT tenant_id, destination FROM minoots.destinations d
    WHERE d.tenant_id = $1 AND d.destination = $2 AND CASE
        WHEN d.state = 'recovering' AND d.slow_start >= 512 THEN true
        WHEN d.state = 'recovering' OR d.state IN ('open', 'half_open') AND d.probe_at < now() - interval '10 minutes'
            THEN NOT EXISTS (
                SELECT FROM river.river_job j
                WHERE j.state = 'available' AND j.queue = d.queue AND j.scheduled_at <= now()
            )
        ELSE false
    END
    FOR UPDATE
),
forgotten AS (
    DELETE FROM minoots.destinations d
    USING over
    WHERE d.tenant_id = over.tenant_id AND d.destination = over.destination
        AND d.rate_per_second IS NULL AND d.max_concurrent IS NULL
    RETURNING d.queue
),
kept AS (
    UPDATE minoots.destinations d
    SET state = 'closed', since = now(), probe_at = NULL, opens = 0, failures = 0, reason = NULL, replica = NULL
    FROM over
    WHERE d.tenant_id = over.tenant_id AND d.destination = over.destination
        AND (d.rate_per_second IS NOT NULL OR d.max_concurrent IS NOT NULL)
    RETURNING d.queue
)
SELECT count(*) AS closed FROM (SELECT FROM forgotten UNION ALL SELECT FROM kept) AS changed;
