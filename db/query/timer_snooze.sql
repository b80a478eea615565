-- Makes a scheduled timer due later: by $3 microseconds after its time, or after now if that has passed,
-- or at $4. It keeps its jitter. Gives the status it had. Nothing changes if that would not be later, or
-- beyond the horizon of $5 microseconds.
--
-- The lock is what a claim's SKIP LOCKED steps over: of snooze and fire, exactly one wins, and the other
-- sees it.
WITH target AS MATERIALIZED (
    SELECT id, status, coalesce($4::timestamptz, greatest(fire_at, now()) + $3::bigint * interval '1 microsecond') AS fire_at
    FROM minoots.timer_states
    WHERE id = $1 AND tenant_id = $2
    FOR UPDATE
),
changed AS (
    UPDATE minoots.timer_states s
    SET fire_at = target.fire_at, due_at = target.fire_at + extract(epoch FROM s.due_at - s.fire_at)::float8 * interval '1 second',
        updated_at = now(), version = s.version + 1
    FROM target
    WHERE s.id = target.id AND target.status = 'scheduled' AND target.fire_at > s.fire_at
        AND target.fire_at <= now() + $5::bigint * interval '1 microsecond'
    RETURNING s.id, s.tenant_id, s.due_at
),
logged AS (
    INSERT INTO minoots.events (timer_id, tenant_id, type, data)
    SELECT id, tenant_id, 'timer.updated', json_build_object('by', 'snooze') FROM changed
)
SELECT target.status, EXISTS (SELECT FROM changed) AS changed, (SELECT due_at FROM changed) AS due_at FROM target;
