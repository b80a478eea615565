-- Puts newly sealed secrets in the place of what was read, for all tenants. What has changed meanwhile is
-- another's work and stays. Rows are locked in the order of their ids, so that two at once cannot deadlock.
WITH given AS MATERIALIZED (
    SELECT s.id, g.secret
    FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS g (id, was, secret)
    JOIN minoots.signing_secrets s ON s.id = g.id AND s.secret = g.was
    ORDER BY s.id
    FOR UPDATE OF s
)
UPDATE minoots.signing_secrets s
SET secret = given.secret, key_id = nullif($4::text, '')
FROM given
WHERE s.id = given.id;
