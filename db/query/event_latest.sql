-- Gives the end of the log: what the snapshot of this moment sees, and what the log says of itself.
SELECT s::text AS snapshot, coalesce((
        SELECT e.xid FROM minoots.events e
        WHERE e.xid < pg_snapshot_xmax(s) AND pg_visible_in_snapshot(e.xid, s)
        ORDER BY e.xid DESC
        LIMIT 1
    ), '0') AS highest, log.id, log.dropped
FROM pg_current_snapshot() AS s, minoots.event_log log;
