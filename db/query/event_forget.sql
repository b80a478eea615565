-- Removes old events that stand in no weekly partition, a bounded number of them, and raises the horizon.
-- The lock on the horizon's row is the last that it takes, as in a drop.
WITH gone AS (
    DELETE FROM minoots.events_default
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM minoots.events_default
        WHERE occurred_at < date_trunc('week', (now() - $1::float8 * interval '1 second') AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
        LIMIT 10000
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING xid
),
noted AS (
    UPDATE minoots.event_log l SET dropped = h.xid
    FROM (SELECT xid FROM gone ORDER BY xid DESC LIMIT 1) AS h
    WHERE h.xid > l.dropped
)
SELECT xid FROM gone;
