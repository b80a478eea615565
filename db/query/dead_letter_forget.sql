-- Removes dead letters older than history is kept, but for those on their way again. Ids are in the order
-- of age. SKIP LOCKED: what is being redriven at this moment is looked at again.
DELETE FROM minoots.dead_letters
WHERE id = ANY (ARRAY(
    SELECT id FROM minoots.dead_letters
    WHERE id < minoots.first_id(now() - $1::float8 * interval '1 second') AND status <> 'redriven'
    ORDER BY id
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
));
