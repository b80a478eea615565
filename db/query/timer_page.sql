-- A page of a tenant's timers, by due time and id, after the cursor's. A filter that is NULL is off.
-- Planned anew for each call (the caller asks for it), so that what is off costs nothing.
--
-- The planner is left no choice between the ways to a page, since it can guess wrong by all of ten
-- million rows (docs/adr/0024-finding.md). Where the definition is asked for ($5 name, $6 its prefix, $7
-- requestedBy, $8 labels), "found" are the timers that match, by their indexes, but no more than $12. If
-- those are all, they are looked up and sorted. If there are more, one in a few that come next in due
-- order matches, so these are walked until the page is full: by one index for each status, each with its
-- own limit, since for one around them all Postgres may read them whole and sort. A scalar subquery looks
-- at one definition after the other, where for EXISTS Postgres may read all that match. What follows the
-- status is the same in each of these walks; a test holds them together.
WITH found AS MATERIALIZED (
    SELECT t.id
    FROM minoots.timers t
    WHERE coalesce($5::text, $6::text, $7::text, $8::jsonb::text) IS NOT NULL AND t.tenant_id = $1
        AND ($5 IS NULL OR (t.name = $5 AND t.name <> ''))
        AND ($6 IS NULL OR (t.name LIKE $6 AND t.name <> ''))
        AND ($7 IS NULL OR (t.requested_by = $7 AND t.requested_by <> ''))
        AND ($8 IS NULL OR (jsonb_set('{}', ARRAY[t.tenant_id], t.labels) @> jsonb_build_object($1::text, $8) AND t.labels IS NOT NULL))
    LIMIT $12::integer
),
few AS MATERIALIZED (
    SELECT count(*) < $12 AS few FROM found
),
few_found AS MATERIALIZED (
    SELECT s.fire_at, s.id
    FROM minoots.timer_states s
    WHERE s.id = ANY (ARRAY(SELECT found.id FROM found WHERE (SELECT few FROM few))) AND s.tenant_id = $1
        AND ($2::timestamptz IS NULL OR (s.fire_at, s.id) > ($2, $3::uuid))
        AND ($4::text[] IS NULL OR s.status = ANY ($4))
        AND ($9::timestamptz IS NULL OR s.fire_at >= $9)
        AND ($10::timestamptz IS NULL OR s.fire_at < $10)
    ORDER BY s.fire_at, s.id
    LIMIT $11
),
page AS (
    SELECT fire_at, id FROM few_found
    UNION ALL
    (SELECT s.fire_at, s.id
    FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.due_at IS NOT NULL AND ($4 IS NULL OR 'scheduled' = ANY ($4))
        AND ($2 IS NULL OR (s.fire_at, s.id) > ($2, $3)) AND ($9 IS NULL OR s.fire_at >= $9) AND ($10 IS NULL OR s.fire_at < $10)
        AND (coalesce($5, $6, $7, $8::text) IS NULL OR NOT (SELECT few FROM few) AND (
            SELECT ($5 IS NULL OR t.name = $5) AND ($6 IS NULL OR t.name LIKE $6) AND ($7 IS NULL OR t.requested_by = $7)
                AND ($8 IS NULL OR coalesce(t.labels @> $8, false))
            FROM minoots.timers t WHERE t.id = s.id))
    ORDER BY s.fire_at, s.id LIMIT $11)
    UNION ALL
    (SELECT s.fire_at, s.id
    FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.held_due_at IS NOT NULL AND s.status = 'paused' AND 'paused' = ANY ($4)
        AND ($2 IS NULL OR (s.fire_at, s.id) > ($2, $3)) AND ($9 IS NULL OR s.fire_at >= $9) AND ($10 IS NULL OR s.fire_at < $10)
        AND (coalesce($5, $6, $7, $8::text) IS NULL OR NOT (SELECT few FROM few) AND (
            SELECT ($5 IS NULL OR t.name = $5) AND ($6 IS NULL OR t.name LIKE $6) AND ($7 IS NULL OR t.requested_by = $7)
                AND ($8 IS NULL OR coalesce(t.labels @> $8, false))
            FROM minoots.timers t WHERE t.id = s.id))
    ORDER BY s.fire_at, s.id LIMIT $11)
    UNION ALL
    (SELECT s.fire_at, s.id
    FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.failure_reason IS NOT NULL AND s.status = 'failed' AND 'failed' = ANY ($4)
        AND ($2 IS NULL OR (s.fire_at, s.id) > ($2, $3)) AND ($9 IS NULL OR s.fire_at >= $9) AND ($10 IS NULL OR s.fire_at < $10)
        AND (coalesce($5, $6, $7, $8::text) IS NULL OR NOT (SELECT few FROM few) AND (
            SELECT ($5 IS NULL OR t.name = $5) AND ($6 IS NULL OR t.name LIKE $6) AND ($7 IS NULL OR t.requested_by = $7)
                AND ($8 IS NULL OR coalesce(t.labels @> $8, false))
            FROM minoots.timers t WHERE t.id = s.id))
    ORDER BY s.fire_at, s.id LIMIT $11)
    UNION ALL
    (SELECT s.fire_at, s.id
    FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.cancelled_at IS NOT NULL AND s.status = 'cancelled' AND 'cancelled' = ANY ($4)
        AND ($2 IS NULL OR (s.fire_at, s.id) > ($2, $3)) AND ($9 IS NULL OR s.fire_at >= $9) AND ($10 IS NULL OR s.fire_at < $10)
        AND (coalesce($5, $6, $7, $8::text) IS NULL OR NOT (SELECT few FROM few) AND (
            SELECT ($5 IS NULL OR t.name = $5) AND ($6 IS NULL OR t.name LIKE $6) AND ($7 IS NULL OR t.requested_by = $7)
                AND ($8 IS NULL OR coalesce(t.labels @> $8, false))
            FROM minoots.timers t WHERE t.id = s.id))
    ORDER BY s.fire_at, s.id LIMIT $11)
    UNION ALL
    (SELECT s.fire_at, s.id
    FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.due_at IS NULL AND ($4 IS NULL OR $4 && ARRAY['fired', 'settled'] AND s.status IN ('fired', 'settled') AND s.status = ANY ($4))
        AND ($2 IS NULL OR (s.fire_at, s.id) > ($2, $3)) AND ($9 IS NULL OR s.fire_at >= $9) AND ($10 IS NULL OR s.fire_at < $10)
        AND (coalesce($5, $6, $7, $8::text) IS NULL OR NOT (SELECT few FROM few) AND (
            SELECT ($5 IS NULL OR t.name = $5) AND ($6 IS NULL OR t.name LIKE $6) AND ($7 IS NULL OR t.requested_by = $7)
                AND ($8 IS NULL OR coalesce(t.labels @> $8, false))
            FROM minoots.timers t WHERE t.id = s.id))
    ORDER BY s.fire_at, s.id LIMIT $11)
)
SELECT t.id, t.tenant_id, t.name, t.requested_by, s.status, t.created_at, s.updated_at, s.fire_at,
    t.duration_us, s.fired_at, s.settled_at, s.cancelled_at, s.cancel_reason, s.cancelled_by,
    s.failure_reason, s.occurrence, s.version, t.labels, t.metadata, t.bundle, t.agent_binding,
    t.recurrence, t.misfire, t.jitter_ms,
    f.occurrence, f.status, f.due_at, f.fired_at, f.settled_at, f.reason, f.actions, f.failed
FROM (SELECT fire_at, id FROM page ORDER BY fire_at, id LIMIT $11) AS p
JOIN minoots.timer_states s ON s.id = p.id
JOIN minoots.timers t ON t.id = p.id
LEFT JOIN minoots.firings f ON f.timer_id = s.id AND f.occurrence = s.occurrence
ORDER BY p.fire_at, p.id;
