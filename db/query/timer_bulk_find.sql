-- The ids of a tenant's timers that a change of many is meant for, in order, after $2. $3 are statuses,
-- all of which may change. A filter that is NULL is off. Planned anew for each call.
--
-- As in timer_page.sql, the planner is left no choice: where the definition is asked for, those that
-- match are found first, by its indexes. All that match must be read, because a change goes by id.
WITH found AS MATERIALIZED (
    SELECT t.id
    FROM minoots.timers t
    WHERE coalesce($4::text, $5::text, $6::text, $7::jsonb::text) IS NOT NULL AND t.tenant_id = $1
        AND ($4 IS NULL OR (t.name = $4 AND t.name <> ''))
        AND ($5 IS NULL OR (t.name LIKE $5 AND t.name <> ''))
        AND ($6 IS NULL OR (t.requested_by = $6 AND t.requested_by <> ''))
        AND ($7 IS NULL OR (jsonb_set('{}', ARRAY[t.tenant_id], t.labels) @> jsonb_build_object($1::text, $7) AND t.labels IS NOT NULL))
),
meant AS (
    SELECT s.id, s.tenant_id, s.fire_at, s.recurring FROM minoots.timer_states s
    WHERE s.id = ANY (ARRAY(SELECT found.id FROM found)) AND s.status = ANY ($3::text[])
    UNION ALL
    SELECT s.id, s.tenant_id, s.fire_at, s.recurring FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.due_at IS NOT NULL AND 'scheduled' = ANY ($3) AND coalesce($4, $5, $6, $7::text) IS NULL
    UNION ALL
    SELECT s.id, s.tenant_id, s.fire_at, s.recurring FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.held_due_at IS NOT NULL AND s.status = 'paused' AND 'paused' = ANY ($3)
        AND coalesce($4, $5, $6, $7::text) IS NULL
)
SELECT id FROM meant
WHERE tenant_id = $1 AND id > $2::uuid
    AND ($8::timestamptz IS NULL OR fire_at >= $8)
    AND ($9::timestamptz IS NULL OR fire_at < $9)
    AND NOT (recurring AND $10::boolean)
ORDER BY id
LIMIT $11;
