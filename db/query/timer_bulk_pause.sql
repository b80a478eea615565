-- Pauses those of one batch of timers that are scheduled, and counts them.
--
-- All are held to the filter once more, under the lock: what a claim or a change has moved out of it
-- meanwhile is left alone. One whose definition is changed while this statement runs is left alone too,
-- since the old one would be judged; see timer_claim.sql. Rows are locked by id, and a claim waits for
-- no lock, so that neither two of these nor one and a claim can deadlock. The filter is the same in each
-- timer_bulk_*.sql that changes something; a test holds them together.
WITH target AS MATERIALIZED (
    SELECT s.id
    FROM minoots.timer_states s
    WHERE s.id = ANY ($2::uuid[]) AND s.tenant_id = $1 AND s.status = ANY ($3::text[])
        AND ($8::timestamptz IS NULL OR s.fire_at >= $8)
        AND ($9::timestamptz IS NULL OR s.fire_at < $9)
        AND (s.patched IS NULL OR minoots.is_patched(s.id, s.patched))
        AND (coalesce($4::text, $5::text, $6::text, $7::jsonb::text) IS NULL OR EXISTS (
            SELECT FROM minoots.timers t
            WHERE t.id = s.id AND ($4 IS NULL OR t.name = $4) AND ($5 IS NULL OR t.name LIKE $5)
                AND ($6 IS NULL OR t.requested_by = $6) AND ($7 IS NULL OR t.labels @> $7)
        ))
    ORDER BY s.id
    FOR UPDATE
),
changed AS (
    UPDATE minoots.timer_states s
    SET status = 'paused', due_at = NULL, held_due_at = s.due_at, paused_at = now(), updated_at = now(),
        version = s.version + 1
    FROM target
    WHERE s.id = target.id
    RETURNING s.id, s.tenant_id
),
logged AS (
    INSERT INTO minoots.events (timer_id, tenant_id, type)
    SELECT id, tenant_id, 'timer.paused' FROM changed ORDER BY id
)
SELECT count(*) AS changed, ARRAY[]::timestamptz[] AS due FROM changed;
