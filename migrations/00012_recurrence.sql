-- Recurrence. All columns may be NULL and mostly are, so that a timer that fires once is written as before.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- unarmed marks a recurring timer whose first instant nobody has computed yet, because who made it does
-- not know zones: schedule() in SQL. Such a row is due at once; the claim computes the instant and moves
-- the row there, and nothing fires.
--
-- may_skip marks a timer that fires once and has a misfire policy by which a late firing may be left out.
-- Of it, as of a recurring one, the claim only takes the lock, and Go decides. One that was made before
-- this migration is not marked, and fires however late, as it was told then.
ALTER TABLE minoots.timer_states
    ADD COLUMN unarmed boolean,
    ADD COLUMN may_skip boolean;

-- From when a recurrence counts, if that is not created_at: a replica computes the first instant before
-- the statement that makes the timer, and a patch gives a timer another recurrence.
ALTER TABLE minoots.timers ADD COLUMN anchor timestamptz;

CREATE OR REPLACE VIEW minoots.timer_report AS
SELECT t.id, t.tenant_id, t.name, t.requested_by, s.status, s.fire_at, s.due_at,
       t.created_at, s.updated_at, s.fired_at, s.settled_at, s.cancelled_at,
       s.cancel_reason, s.cancelled_by, s.failure_reason, s.occurrence, s.actions, s.version,
       t.duration_us / 1000 AS duration_ms, t.labels, t.metadata,
       s.recurring, t.recurrence, t.misfire, t.jitter_ms
FROM minoots.timers t
JOIN minoots.timer_states s USING (id);
COMMENT ON COLUMN minoots.timer_report.occurrence IS 'Firings so far, those that were skipped included.';
COMMENT ON COLUMN minoots.timer_report.duration_ms IS 'The duration asked for; NULL for an instant or a recurrence.';
COMMENT ON COLUMN minoots.timer_report.recurring IS 'Whether it fires again and again.';
COMMENT ON COLUMN minoots.timer_report.recurrence IS 'When, with the defaults written out; NULL for a timer that fires once.';
COMMENT ON COLUMN minoots.timer_report.misfire IS 'What is done when it is found late; NULL for the default.';
COMMENT ON COLUMN minoots.timer_report.jitter_ms IS 'The window after fire_at in which it is due.';
COMMENT ON COLUMN minoots.firing_report.lateness_ms IS
    'fired_at minus due_at, milliseconds. Never negative. Of a skipped firing: how late it was found.';

-- +goose Down
DROP VIEW minoots.timer_report;
CREATE VIEW minoots.timer_report AS
SELECT t.id, t.tenant_id, t.name, t.requested_by, s.status, s.fire_at, s.due_at,
       t.created_at, s.updated_at, s.fired_at, s.settled_at, s.cancelled_at,
       s.cancel_reason, s.cancelled_by, s.failure_reason, s.occurrence, s.actions, s.version,
       t.duration_us / 1000 AS duration_ms, t.labels, t.metadata
FROM minoots.timers t
JOIN minoots.timer_states s USING (id);
COMMENT ON VIEW minoots.timer_report IS 'One row a timer: what was asked for and where it stands.';
COMMENT ON COLUMN minoots.timer_report.fire_at IS 'The next due instant as the caller knows it, or the last one of a timer that is over.';
COMMENT ON COLUMN minoots.timer_report.due_at IS 'When a kernel may claim it: fire_at and its jitter. NULL when it is not waiting.';
COMMENT ON COLUMN minoots.timer_report.occurrence IS 'Firings so far.';
COMMENT ON COLUMN minoots.timer_report.actions IS 'Actions in its bundle.';
COMMENT ON COLUMN minoots.timer_report.version IS 'Grows with every change; the ETag of the API.';
COMMENT ON COLUMN minoots.timer_report.duration_ms IS 'The duration asked for; NULL for an instant.';
COMMENT ON COLUMN minoots.firing_report.lateness_ms IS 'fired_at minus due_at, milliseconds. Never negative.';
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'minoots_reporting') THEN
        GRANT SELECT ON minoots.timer_report TO minoots_reporting;
    END IF;
END $$;
-- +goose StatementEnd
ALTER TABLE minoots.timers DROP COLUMN anchor;
ALTER TABLE minoots.timer_states DROP COLUMN unarmed, DROP COLUMN may_skip;
