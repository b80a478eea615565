-- Removes old events that stand in no weekly partition, a bounded number of them.
DELETE FROM minoots.events_default
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM minoots.events_default
    WHERE occurred_at < date_trunc('week', (now() - $1::float8 * interval '1 second') AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
));
