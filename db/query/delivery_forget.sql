-- Removes deliveries that are older than so many seconds, 10,000 at most, but for those with a job. Their ids
-- are UUIDv7, so that the primary key finds them.
DELETE FROM minoots.subscription_deliveries
WHERE id = ANY (ARRAY(
    SELECT d.id FROM minoots.subscription_deliveries d
    WHERE d.id < minoots.first_id(now() - $1::float8 * interval '1 second')
        AND (d.status <> 'waiting' OR NOT EXISTS (SELECT FROM minoots.subscriptions s WHERE s.id = d.subscription_id))
    ORDER BY d.id
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
));
