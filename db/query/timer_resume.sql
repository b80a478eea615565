-- Resumes a paused timer by policy ($3) and gives the status it had:
--   shift  what was left when it was paused counts on from now
--   fire   it is due when it was to be, and now if that has passed
--   skip   if that has passed, it is over: cancelled for the reason $4, its firing skipped
-- A recurring timer is left to timer_go_on.sql: when it is due next is for Go to compute.
--
-- The lock serialises it with other changes; of two resumes one changes the timer.
--
-- A difference of instants is added as seconds: as an interval it has days, which are not all of 24
-- hours in the time zones of some sessions. It is not negative, though a pause for which this
-- transaction waited may have begun after it.
--
-- What is due is due from now on, and not from when it was missed: it is found above the claims'
-- low-water mark, and the time in which it was paused is no lateness.
WITH target AS MATERIALIZED (
    SELECT id, status, held_due_at <= now() AS missed,
        extract(epoch FROM greatest(now(), paused_at) - paused_at)::float8 * interval '1 second' AS paused_for
    FROM minoots.timer_states
    WHERE id = $1 AND tenant_id = $2
    FOR UPDATE
),
resumed AS (
    UPDATE minoots.timer_states s
    SET status = 'scheduled', paused_at = NULL, held_due_at = NULL, updated_at = now(), version = s.version + 1,
        due_at = greatest(now(), CASE WHEN $3::text = 'shift' THEN s.held_due_at + target.paused_for ELSE s.held_due_at END),
        fire_at = CASE
            WHEN $3 = 'shift' THEN s.fire_at + target.paused_for
            WHEN target.missed THEN now()
            ELSE s.fire_at
        END
    FROM target
    WHERE s.id = target.id AND target.status = 'paused' AND NOT s.recurring AND NOT ($3 = 'skip' AND target.missed)
    RETURNING s.id, s.tenant_id, s.due_at
),
skipped AS (
    UPDATE minoots.timer_states s
    SET status = 'cancelled', cancelled_at = now(), cancel_reason = $4, updated_at = now(),
        occurrence = s.occurrence + 1, version = s.version + 1
    FROM target
    WHERE s.id = target.id AND target.status = 'paused' AND NOT s.recurring AND $3 = 'skip' AND target.missed
    RETURNING s.id, s.tenant_id, s.occurrence, s.actions, s.held_due_at
),
firings AS (
    INSERT INTO minoots.firings (timer_id, due_at, fired_at, settled_at, occurrence, actions, started,
        tenant_id, status, reason)
    SELECT id, held_due_at, now(), now(), occurrence, actions, 0, tenant_id, 'skipped', $4 FROM skipped
),
logged AS (
    INSERT INTO minoots.events (timer_id, tenant_id, type, data)
    SELECT id, tenant_id, 'timer.resumed', json_build_object('policy', $3) FROM resumed
    UNION ALL
    SELECT id, tenant_id, 'timer.cancelled', json_build_object('policy', $3) FROM skipped
)
SELECT target.status, EXISTS (SELECT FROM resumed) OR EXISTS (SELECT FROM skipped) AS changed, resumed.due_at
FROM target LEFT JOIN resumed ON true;
