-- The ids of a tenant's timers that a change of many is meant for, in order, after $2, if the filter leaves
-- fewer than $12 to look at; else one NULL, and timer_bulk_walk.sql finds them. $3 are statuses, all of
-- which may change. A filter that is NULL is off. Planned anew for each call.
--
-- All that the filter leaves must be read, because a change goes by id. As in timer_page.sql, the planner is
-- left no choice: where the definition is asked for, those that match are found first, by its indexes; else
-- those of a status, by theirs.
WITH found AS MATERIALIZED (
    SELECT t.id
    FROM minoots.timers t
    WHERE coalesce($4::text, $5::text, $6::text, $7::jsonb::text) IS NOT NULL AND t.tenant_id = $1
        AND ($4 IS NULL OR (t.name = $4 AND t.name <> ''))
        AND ($5 IS NULL OR (t.name LIKE $5 AND t.name <> ''))
        AND ($6 IS NULL OR (t.requested_by = $6 AND t.requested_by <> ''))
        AND ($7 IS NULL OR (jsonb_set('{}', ARRAY[t.tenant_id], t.labels) @> jsonb_build_object($1::text, $7) AND t.labels IS NOT NULL))
    LIMIT $12::integer
),
looked_at AS MATERIALIZED (
    SELECT found.id FROM found
    UNION ALL
    (SELECT s.id FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.due_at IS NOT NULL AND 'scheduled' = ANY ($3) AND coalesce($4, $5, $6, $7::text) IS NULL
        AND ($8::timestamptz IS NULL OR s.fire_at >= $8) AND ($9::timestamptz IS NULL OR s.fire_at < $9)
    LIMIT $12)
    UNION ALL
    (SELECT s.id FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.held_due_at IS NOT NULL AND s.status = 'paused' AND 'paused' = ANY ($3)
        AND coalesce($4, $5, $6, $7::text) IS NULL
        AND ($8 IS NULL OR s.fire_at >= $8) AND ($9 IS NULL OR s.fire_at < $9)
    LIMIT $12)
),
few AS MATERIALIZED (
    SELECT count(*) < $12 AS few FROM looked_at
)
(SELECT s.id
FROM minoots.timer_states s
WHERE s.id = ANY (ARRAY(SELECT looked_at.id FROM looked_at WHERE (SELECT few FROM few)))
    AND s.tenant_id = $1 AND s.id > $2::uuid AND s.status = ANY ($3::text[])
    AND ($8 IS NULL OR s.fire_at >= $8)
    AND ($9 IS NULL OR s.fire_at < $9)
    AND NOT (s.recurring AND $10::boolean)
ORDER BY s.id
LIMIT $11)
UNION ALL
SELECT NULL FROM few WHERE NOT few;
