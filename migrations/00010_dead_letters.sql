-- Dead letters, and where a bundle stopped that is to stop.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- stopped is how many actions had been begun when one failed for good and the bundle said to stop: the
-- firing ends with the last of those. NULL for all others. actions stays what the bundle has.
ALTER TABLE minoots.firings ADD COLUMN stopped smallint;

-- An action that ran out of attempts and of escalation. Its history is in attempts.
--
-- delivery is the arguments of its job, of which a redrive makes another. status is the only column in
-- an index that changes, and an update is rare: a redrive, its end, a discard.
CREATE TABLE minoots.dead_letters (
    id          uuid PRIMARY KEY DEFAULT minoots.uuid7(),
    timer_id    uuid NOT NULL,
    due_at      timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    redriven_at timestamptz, -- the last time
    closed_at   timestamptz, -- resolved or discarded
    occurrence  integer NOT NULL,
    http_status integer,
    attempts    smallint NOT NULL,
    redrives    smallint NOT NULL DEFAULT 0,
    tenant_id   text NOT NULL,
    action_id   text NOT NULL,
    kind        text NOT NULL,
    phase       text NOT NULL,
    status      text NOT NULL DEFAULT 'dead',
    error_class text,
    error       text,
    delivery    jsonb NOT NULL,
    UNIQUE (timer_id, occurrence, action_id),
    CONSTRAINT dead_letters_status CHECK (status IN ('dead', 'redriven', 'resolved', 'discarded')),
    CONSTRAINT dead_letters_phase CHECK (phase IN ('action', 'escalation', 'compensation'))
);
CREATE INDEX dead_letters_tenant ON minoots.dead_letters (tenant_id, status, id);

CREATE VIEW minoots.dead_letter_report AS
SELECT d.id, d.tenant_id, d.timer_id, d.occurrence, d.action_id, d.kind, d.phase, d.status, d.attempts,
       d.redrives, d.http_status, d.error_class, d.error, d.due_at, d.created_at, d.redriven_at, d.closed_at
FROM minoots.dead_letters d;
COMMENT ON VIEW minoots.dead_letter_report IS 'One row an action that ran out of attempts and of escalation.';
COMMENT ON COLUMN minoots.dead_letter_report.phase IS 'action, escalation or compensation.';
COMMENT ON COLUMN minoots.dead_letter_report.status IS 'dead; redriven: on its way again; resolved: a redrive succeeded; discarded.';
COMMENT ON COLUMN minoots.dead_letter_report.attempts IS 'Attempts in all, those of redrives included.';
COMMENT ON COLUMN minoots.dead_letter_report.redriven_at IS 'The last redrive.';
COMMENT ON COLUMN minoots.dead_letter_report.closed_at IS 'When it was resolved or discarded.';
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'minoots_reporting') THEN
        GRANT SELECT ON minoots.dead_letter_report TO minoots_reporting;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP VIEW minoots.dead_letter_report;
DROP TABLE minoots.dead_letters;
ALTER TABLE minoots.firings DROP COLUMN stopped;
