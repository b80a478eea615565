-- Destinations that are not ordinary: their breaker is not closed, or they have limits. Most have no row.
-- docs/adr/0017-breaker.md has the reasons.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- queue is where deliveries to the destination wait: a queue of River's that no client of River's fetches
-- from. They are taken from it by db/query/destination_take.sql alone, under the lock of this row.
--
-- state: of the breaker; since: when it became closed, or ceased to be.
--   open        deliveries wait until probe_at
--   half_open   one was taken to try, at tried_at; probe_at is until when that counts
--   recovering  it answered: so many may be under way as slow_start says, which grows
--   closed      ordinary, but for its limits
-- opens counts the openings since it was last closed, for the wait before the next probe.
-- token_at is when the next delivery may begin, by rate_per_second (GCRA).
CREATE TABLE minoots.destinations (
    token_at        timestamptz NOT NULL DEFAULT '-infinity',
    since           timestamptz NOT NULL DEFAULT now(),
    probe_at        timestamptz,
    tried_at        timestamptz,
    rate_per_second double precision,
    max_concurrent  integer,
    slow_start      integer NOT NULL DEFAULT 1,
    opens           integer NOT NULL DEFAULT 0,
    failures        integer NOT NULL DEFAULT 0,
    tenant_id       text NOT NULL,
    destination     text NOT NULL,
    queue           text NOT NULL,
    state           text NOT NULL DEFAULT 'closed',
    reason          text,
    replica         text,
    PRIMARY KEY (tenant_id, destination),
    CONSTRAINT destinations_queue UNIQUE (queue),
    CONSTRAINT destinations_state CHECK (state IN ('closed', 'open', 'half_open', 'recovering')),
    CONSTRAINT destinations_probe CHECK (state = 'closed' OR probe_at IS NOT NULL),
    CONSTRAINT destinations_rate CHECK (rate_per_second > 0),
    CONSTRAINT destinations_concurrent CHECK (max_concurrent > 0)
) WITH (fillfactor = 50);

CREATE VIEW minoots.destination_report AS
SELECT d.tenant_id, d.destination, d.state, d.since,
       CASE WHEN d.state IN ('open', 'half_open') THEN d.probe_at END AS next_probe_at,
       d.failures, d.reason, w.waiting, w.waiting_since,
       (SELECT count(*) FROM river.river_job j WHERE j.state = 'running' AND j.queue = d.queue) AS running,
       d.rate_per_second, d.max_concurrent
FROM minoots.destinations d
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, min(j.scheduled_at) AS waiting_since
    FROM river.river_job j
    WHERE j.state = 'available' AND j.queue = d.queue AND j.scheduled_at <= now()
) AS w;
COMMENT ON VIEW minoots.destination_report IS 'One row a destination whose breaker is not closed, or which has limits.';
COMMENT ON COLUMN minoots.destination_report.destination IS 'For webhooks the scheme, host and port of the URL.';
COMMENT ON COLUMN minoots.destination_report.state IS 'Of its breaker: closed, open, half_open or recovering.';
COMMENT ON COLUMN minoots.destination_report.since IS 'Since when it is not closed, through all probes; of a closed one, since when it is.';
COMMENT ON COLUMN minoots.destination_report.next_probe_at IS 'When it is tried again with one delivery, if one waits; while that runs, until when it is waited for.';
COMMENT ON COLUMN minoots.destination_report.failures IS 'Failed attempts in a row, or of late, that opened it.';
COMMENT ON COLUMN minoots.destination_report.reason IS 'The error of the last of them.';
COMMENT ON COLUMN minoots.destination_report.waiting IS 'Deliveries that wait for it, and spend no attempts.';
COMMENT ON COLUMN minoots.destination_report.waiting_since IS 'Since when the first of them could have begun. NULL when none waits.';
COMMENT ON COLUMN minoots.destination_report.running IS 'Attempts under way that were let through.';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'minoots_reporting') THEN
        GRANT SELECT ON minoots.destination_report TO minoots_reporting;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
-- What waits goes back to the queue of its kind.
UPDATE river.river_job SET queue = args #>> '{action,kind}'
WHERE queue LIKE 'held-%' AND state IN ('available', 'retryable', 'scheduled');
DROP VIEW minoots.destination_report;
DROP TABLE minoots.destinations;
