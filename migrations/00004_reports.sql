-- Views for reports: a public interface, documented column by column here and in docs/concepts.md.
-- They only ever grow. minoots_reporting may read them and nothing else.

-- +goose Up
SET LOCAL lock_timeout = '5s';

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

CREATE VIEW minoots.firing_report AS
SELECT f.timer_id, f.occurrence, f.tenant_id, t.name, f.status, f.due_at, f.fired_at, f.settled_at,
       extract(epoch FROM f.fired_at - f.due_at) * 1000 AS lateness_ms,
       extract(epoch FROM f.settled_at - f.due_at) * 1000 AS settled_after_ms,
       f.actions, f.ended, f.failed, f.reason
FROM minoots.firings f
LEFT JOIN minoots.timers t ON t.id = f.timer_id;
COMMENT ON VIEW minoots.firing_report IS 'One row an occurrence of a timer.';
COMMENT ON COLUMN minoots.firing_report.lateness_ms IS 'fired_at minus due_at, milliseconds. Never negative.';
COMMENT ON COLUMN minoots.firing_report.settled_after_ms IS 'From due to the last action done, milliseconds. NULL while it runs.';
COMMENT ON COLUMN minoots.firing_report.ended IS 'Actions that succeeded or failed for good.';
COMMENT ON COLUMN minoots.firing_report.failed IS 'Actions that failed for good.';

CREATE VIEW minoots.attempt_report AS
SELECT a.timer_id, a.occurrence, a.action_id, a.kind, a.attempt, a.tenant_id, a.status,
       a.started_at, a.finished_at,
       extract(epoch FROM a.finished_at - a.started_at) * 1000 AS took_ms,
       a.http_status, a.error_class, a.error, a.response, a.replica
FROM minoots.attempts a;
COMMENT ON VIEW minoots.attempt_report IS 'One row a try of an action.';
COMMENT ON COLUMN minoots.attempt_report.took_ms IS 'From the start of the try to its end, milliseconds.';
COMMENT ON COLUMN minoots.attempt_report.error_class IS 'A short stable word, listed in docs/concepts.md.';

CREATE VIEW minoots.lateness_by_minute AS
SELECT date_trunc('minute', due_at) AS minute, tenant_id, count(*) AS firings,
       percentile_disc(0.5)  WITHIN GROUP (ORDER BY extract(epoch FROM fired_at - due_at) * 1000) AS p50_ms,
       percentile_disc(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM fired_at - due_at) * 1000) AS p99_ms,
       max(extract(epoch FROM fired_at - due_at) * 1000) AS max_ms,
       count(*) FILTER (WHERE fired_at < due_at) AS early
FROM minoots.firings
WHERE status <> 'skipped'
GROUP BY 1, 2;
COMMENT ON VIEW minoots.lateness_by_minute IS 'Lateness of firings by the minute in which they were due, per tenant.';
COMMENT ON COLUMN minoots.lateness_by_minute.early IS 'Firings before their due instant. Always 0: the claim compares with the database''s clock.';

CREATE VIEW minoots.backlog AS
SELECT tenant_id,
       count(*) FILTER (WHERE status = 'scheduled') AS scheduled,
       count(*) FILTER (WHERE due_at <= now()) AS overdue,
       extract(epoch FROM now() - min(due_at) FILTER (WHERE due_at <= now())) * 1000 AS oldest_overdue_ms,
       count(*) FILTER (WHERE status = 'fired') AS running,
       count(*) FILTER (WHERE status = 'paused') AS paused
FROM minoots.timer_states
WHERE status IN ('scheduled', 'fired', 'paused')
GROUP BY tenant_id;
COMMENT ON VIEW minoots.backlog IS 'What is waiting, late and running, per tenant.';
COMMENT ON COLUMN minoots.backlog.overdue IS 'Scheduled timers that are due and not yet claimed.';
COMMENT ON COLUMN minoots.backlog.oldest_overdue_ms IS 'How late the latest of them is, milliseconds. NULL when none is.';

-- +goose StatementBegin
-- A role belongs to the whole server, so another database of it may have made it already, or be
-- making it now; and a user without CREATEROLE can still install the rest.
DO $$
BEGIN
    CREATE ROLE minoots_reporting NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN RAISE NOTICE 'role minoots_reporting not made: no CREATEROLE';
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'minoots_reporting') THEN
        GRANT USAGE ON SCHEMA minoots TO minoots_reporting;
        GRANT SELECT ON minoots.timer_report, minoots.firing_report, minoots.attempt_report,
            minoots.lateness_by_minute, minoots.backlog TO minoots_reporting;
    END IF;
END $$;
-- +goose StatementEnd
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA minoots FROM PUBLIC;

-- +goose Down
DROP VIEW minoots.backlog, minoots.lateness_by_minute, minoots.attempt_report,
    minoots.firing_report, minoots.timer_report;
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'minoots_reporting') THEN
        REVOKE USAGE ON SCHEMA minoots FROM minoots_reporting;
    END IF;
END $$;
-- +goose StatementEnd
