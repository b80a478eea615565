-- Forgets acknowledgements that ended, or would have, more than $1 seconds ago.
DELETE FROM minoots.acknowledgements
WHERE token_hash = ANY (ARRAY(
    SELECT token_hash FROM minoots.acknowledgements
    WHERE expires_at < now() - $1::float8 * interval '1 second' AND status <> 'waiting'
    ORDER BY expires_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
));
