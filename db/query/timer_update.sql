-- Changes a timer that has not fired, if it still has the version $3 on which the change was built, and
-- gives the status it had. The lock is what a claim's SKIP LOCKED steps over, and of two changes built
-- on one version the second finds it gone.
--
-- $4 or $5 is a new time: a duration counts from this transaction's now(). A paused timer's remaining
-- time then counts from now too. With a recurrence ($16) $5 is its next instant, and $17 from when it
-- counts; a new time without one makes the timer fire once. $6 is the jitter, NULL where due_at stays as it is.
--
-- patched is for the claim: see timer_claim.sql.
WITH target AS MATERIALIZED (
    SELECT id, status, status IN ('scheduled', 'paused') AND version = $3 AS current,
        coalesce($5::timestamptz, now() + $4::bigint * interval '1 microsecond', fire_at) AS fire_at,
        CASE WHEN $6::bigint IS NULL THEN coalesce(due_at, held_due_at) ELSE
            coalesce($5, now() + $4 * interval '1 microsecond', fire_at) + $6 * interval '1 microsecond'
        END AS due_at
    FROM minoots.timer_states
    WHERE id = $1 AND tenant_id = $2
    FOR UPDATE
),
changed AS (
    UPDATE minoots.timer_states s
    SET fire_at = target.fire_at, actions = $14, updated_at = now(), version = s.version + 1, patched = s.version + 1,
        recurring = CASE WHEN coalesce($4::text, $5::text) IS NULL THEN s.recurring ELSE $16::json IS NOT NULL END,
        unarmed = CASE WHEN coalesce($4::text, $5::text) IS NULL THEN s.unarmed END,
        may_skip = $18::boolean,
        due_at = CASE WHEN target.status = 'scheduled' THEN target.due_at END,
        held_due_at = CASE WHEN target.status = 'paused' THEN target.due_at END,
        paused_at = CASE WHEN target.status = 'paused' AND coalesce($4::text, $5::text) IS NOT NULL THEN now() ELSE s.paused_at END
    FROM target
    WHERE s.id = target.id AND target.current
    RETURNING s.id, s.tenant_id, s.version, s.due_at
),
defined AS (
    UPDATE minoots.timers t
    SET duration_us = CASE WHEN coalesce($4::text, $5::text) IS NULL THEN t.duration_us ELSE $4 END,
        recurrence = CASE WHEN coalesce($4::text, $5::text) IS NULL THEN t.recurrence ELSE $16::json END,
        anchor = CASE WHEN coalesce($4::text, $5::text) IS NULL THEN t.anchor ELSE $17::timestamptz END,
        name = $7, labels = $8, metadata = $9, bundle = $10, agent_binding = $11, misfire = $12, jitter_ms = $13,
        patched = changed.version
    FROM changed
    WHERE t.id = changed.id AND t.tenant_id = $2
),
logged AS (
    INSERT INTO minoots.events (timer_id, tenant_id, type, data)
    SELECT id, tenant_id, 'timer.updated', json_build_object('by', 'patch', 'fields', to_json($15::text[])) FROM changed
)
SELECT target.status, EXISTS (SELECT FROM changed) AS changed,
    (SELECT due_at FROM changed WHERE $6 IS NOT NULL) AS due_at
FROM target;
