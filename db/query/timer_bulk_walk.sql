-- What timer_bulk_find.sql finds, where that would be too many: a stretch of $12 states of all tenants
-- after $2, in the order of their ids, of which those that are meant are given, and how far it went: the
-- last id, or NULL at the end. A scalar subquery looks at one definition after the other, where for EXISTS
-- Postgres may read all that match. Planned anew for each call.
WITH stretch AS MATERIALIZED (
    SELECT s.id, s.tenant_id, s.status, s.fire_at, s.recurring
    FROM minoots.timer_states s
    WHERE s.id > $2::uuid
    ORDER BY s.id
    LIMIT $12::integer
),
meant AS MATERIALIZED (
    SELECT s.id
    FROM stretch s
    WHERE s.tenant_id = $1 AND s.status = ANY ($3::text[])
        AND ($8::timestamptz IS NULL OR s.fire_at >= $8)
        AND ($9::timestamptz IS NULL OR s.fire_at < $9)
        AND NOT (s.recurring AND $10::boolean)
        AND (coalesce($4::text, $5::text, $6::text, $7::jsonb::text) IS NULL OR (
            SELECT ($4 IS NULL OR t.name = $4) AND ($5 IS NULL OR t.name LIKE $5) AND ($6 IS NULL OR t.requested_by = $6)
                AND ($7 IS NULL OR coalesce(t.labels @> $7, false))
            FROM minoots.timers t WHERE t.id = s.id))
    ORDER BY s.id
    LIMIT $11
)
SELECT ARRAY(SELECT meant.id FROM meant) AS ids,
    (SELECT id FROM stretch ORDER BY id OFFSET $12 - 1 LIMIT 1) AS upto;
