-- Moves those of one batch of timers that wait: to $10, or by $11 microseconds, which may be less than 0.
-- Each keeps its jitter. Gives how many, and the instants of the coming half minute at which some are due
-- now, for the kernels to be told.
--
-- All are held to the filter once more, under the lock: what a claim or a change has moved out of it
-- meanwhile is left alone. One whose definition is changed while this statement runs is left alone too,
-- since the old one would be judged; see timer_claim.sql. Rows are locked by id, and a claim waits for
-- no lock, so that neither two of these nor one and a claim can deadlock. The filter is the same in each
-- timer_bulk_*.sql that changes something; a test holds them together.
--
-- None is due in the past: it would be below the mark from which claims look. Beyond the horizon of $12
-- microseconds none is moved. A recurring timer's next time follows from its last, so it is left alone.
--
-- A paused timer's remaining time counts from now if it has a new time, and is longer or shorter if it is
-- moved. A difference of instants is added as seconds, as in timer_resume.sql.
WITH target AS MATERIALIZED (
    SELECT s.id, greatest(coalesce($10::timestamptz, s.fire_at + $11::bigint * interval '1 microsecond'),
        CASE s.status WHEN 'scheduled' THEN now() ELSE '-infinity' END) AS fire_at
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
        AND NOT s.recurring
        AND coalesce($10, s.fire_at + $11 * interval '1 microsecond') <= now() + $12::bigint * interval '1 microsecond'
    ORDER BY s.id
    FOR UPDATE
),
changed AS (
    UPDATE minoots.timer_states s
    SET fire_at = target.fire_at, updated_at = now(), version = s.version + 1,
        due_at = target.fire_at + extract(epoch FROM s.due_at - s.fire_at)::float8 * interval '1 second',
        held_due_at = CASE s.status WHEN 'paused' THEN
            target.fire_at + extract(epoch FROM s.held_due_at - s.fire_at)::float8 * interval '1 second' END,
        paused_at = CASE WHEN s.status = 'paused' AND $10 IS NOT NULL THEN now() ELSE s.paused_at END
    FROM target
    WHERE s.id = target.id
    RETURNING s.id, s.tenant_id, s.due_at
),
logged AS (
    INSERT INTO minoots.events (timer_id, tenant_id, type, data)
    SELECT id, tenant_id, 'timer.updated', json_build_object('by', 'reschedule') FROM changed ORDER BY id
)
SELECT (SELECT count(*) FROM changed) AS changed, ARRAY(
    SELECT DISTINCT due_at FROM changed WHERE due_at <= now() + interval '30 seconds' ORDER BY due_at LIMIT 1000
) AS due;
