-- Removes old firings that stand in no weekly partition, a bounded number of them: those whose timer
-- was found so late that its week was gone. They are old when they have been over for so many seconds,
-- counted in whole weeks like those in the others; one that runs is never old.
DELETE FROM minoots.firings_default
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM minoots.firings_default
    WHERE status <> 'running' AND coalesce(settled_at, fired_at)
        < date_trunc('week', (now() - $1::float8 * interval '1 second') AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
));
