-- Acknowledgements that agents owe: docs/adr/0022-secrets-and-acks.md.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- One row a send that asks for one. It is there before the send, as "sending", for an agent may answer
-- before its receiver does. When the receiver has taken the delivery on it is "waiting", and the job stands
-- in River's table as pending, where no worker has it. It ends acknowledged or expired, both once. A row
-- whose send failed, or whose process died, stays "sending" and counts for nothing: job_id and attempt are
-- the fence, for a job that is dispatched again has another of one of them.
CREATE TABLE minoots.acknowledgements (
    token_hash      bytea PRIMARY KEY, -- SHA-256 of 256 random bits
    timer_id        uuid NOT NULL,
    job_id          bigint NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT now(), -- of the attempt
    expires_at      timestamptz NOT NULL,
    latest_at       timestamptz NOT NULL, -- no heartbeat puts expires_at past it
    heartbeat_at    timestamptz,
    acknowledged_at timestamptz,
    timeout_ms      bigint NOT NULL,
    occurrence      integer NOT NULL,
    http_status     integer, -- what the receiver answered
    attempt         smallint NOT NULL,
    ok              boolean,
    status          text NOT NULL DEFAULT 'sending',
    tenant_id       text NOT NULL,
    action_id       text NOT NULL,
    replica         text NOT NULL,
    response        text,
    progress        text,
    CONSTRAINT acknowledgements_status CHECK (status IN ('sending', 'waiting', 'acknowledged', 'expired')),
    CONSTRAINT acknowledgements_ok CHECK ((status = 'acknowledged') = (ok IS NOT NULL AND acknowledged_at IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX acknowledgements_waiting ON minoots.acknowledgements (expires_at) WHERE status = 'waiting';
CREATE INDEX acknowledgements_firing ON minoots.acknowledgements (timer_id, occurrence);

-- +goose Down
-- What is parked would wait for ever: it is sent again.
UPDATE river.river_job SET state = 'available', scheduled_at = now(), attempt = greatest(attempt - 1, 0)
WHERE state = 'pending' AND kind = 'action';
DROP TABLE minoots.acknowledgements;
