-- Finds the processes that have gone, marks them, and lists those that were lost within the last $1
-- seconds, with the seconds since: 0 for the ones just found. At rest it reads one small table, asks one
-- lock a process, and writes nothing.
--
-- A lock that can be had belongs to nobody alive. It is let go with this statement. Where two look at
-- once, the one that is second takes the process for alive, until its next look.
--
-- It also tells, by a row without a name, that acknowledgements have expired: here, so that a service at
-- rest does not ask twice.
WITH gone AS (
    UPDATE minoots.replicas
    SET lost_at = now()
    WHERE lost_at IS NULL
        AND CASE mode WHEN 'lock' THEN pg_try_advisory_xact_lock(7701, slot) ELSE lease_until < clock_timestamp() END
    RETURNING replica, mode, started_at
)
SELECT replica, mode, 0::float8 AS lost_for FROM gone
UNION ALL
SELECT replica, mode, greatest(extract(epoch FROM now() - lost_at), 0)::float8
FROM minoots.replicas
WHERE lost_at > now() - $1::float8 * interval '1 second'
UNION ALL
SELECT '', 'expired', 0
WHERE EXISTS (SELECT FROM minoots.acknowledgements WHERE status = 'waiting' AND expires_at <= now());
