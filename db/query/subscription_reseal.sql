-- Puts newly sealed headers, or plain ones where $4 is '', in the place of what was read, for all tenants. What
-- has changed meanwhile is another's work and stays. Rows are locked in the order of their ids.
--
-- The jobs that wait have plain headers in them, and sealed ones not: they follow, also those that are running,
-- which may be retried.
WITH given AS MATERIALIZED (
    SELECT s.id, g.headers, $4::text <> '' AS sealed, s.headers AS plain
    FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS g (id, was, headers)
    JOIN minoots.subscriptions s ON s.id = g.id AND coalesce(s.headers_sealed, convert_to(s.headers::text, 'UTF8')) = g.was
    ORDER BY s.id
    FOR UPDATE OF s
),
written AS (
    UPDATE minoots.subscriptions s
    SET headers = CASE WHEN g.sealed THEN '{}' ELSE convert_from(g.headers, 'UTF8')::jsonb END,
        headers_sealed = CASE WHEN g.sealed THEN g.headers END, headers_key = nullif($4, ''),
        header_names = CASE WHEN g.sealed THEN coalesce(s.header_names, ARRAY(SELECT jsonb_object_keys(g.plain))) END
    FROM given g
    WHERE s.id = g.id
    RETURNING s.id, s.version, s.headers, g.sealed
),
jobs AS (
    UPDATE river.river_job j
    SET args = jsonb_set(jsonb_set(j.args, '{action,parameters,headers}', w.headers), '{subscription}',
        (j.args -> 'subscription') - 'sealed' || CASE WHEN w.sealed THEN jsonb_build_object('sealed', w.version) ELSE '{}' END)
    FROM written w
    WHERE j.kind = 'subscription' AND j.args #>> '{subscription,id}' = w.id::text
)
SELECT id FROM written;
