-- Pause and change. All columns may be NULL and mostly are, so that a timer nobody touches again is
-- written as before.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- While a timer is paused it has no due_at. held_due_at is what it was, and paused_at the moment from
-- which its remaining time counts on: that of the pause, or of a later change of when it fires.
--
-- patched is the version that the last change of the definition made, in both rows of the timer. A claim
-- compares them: one that has begun before a change commits may see the new state beside the old
-- definition, and must leave the timer to the next claim.
ALTER TABLE minoots.timer_states
    ADD COLUMN held_due_at timestamptz,
    ADD COLUMN paused_at timestamptz,
    ADD COLUMN patched bigint,
    ADD CONSTRAINT timer_states_paused CHECK
        (status <> 'paused' OR held_due_at IS NOT NULL AND paused_at IS NOT NULL) NOT VALID;
ALTER TABLE minoots.timers ADD COLUMN patched bigint;

-- is_patched tells whether the statement that asks sees that version of a timer's definition. STABLE, so
-- that it looks with the snapshot of that statement. A function, so that the planner takes it for cheap:
-- next to no timer that is due has been patched.
CREATE FUNCTION minoots.is_patched(id uuid, version bigint) RETURNS boolean
LANGUAGE sql STABLE COST 1 AS $$
SELECT EXISTS (SELECT FROM minoots.timers t WHERE t.id = is_patched.id AND t.patched = version)
$$;
REVOKE ALL ON FUNCTION minoots.is_patched FROM PUBLIC;

-- +goose Down
DROP FUNCTION minoots.is_patched;
ALTER TABLE minoots.timers DROP COLUMN patched;
ALTER TABLE minoots.timer_states DROP COLUMN held_due_at, DROP COLUMN paused_at, DROP COLUMN patched;
