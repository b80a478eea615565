-- Readers of the log that act for all tenants: the relay to NATS, and the sender of webhook subscriptions.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- One row a reader, made when it is first taken. A replica holds it by a lease on this server's clock, so
-- that there is one at a time, also behind a transaction pooler. cursor is what it has dealt with, NULL
-- before the first page; level_at is when it last had all there was.
CREATE TABLE minoots.event_readers (
    name        text PRIMARY KEY,
    holder      text NOT NULL,
    lease_until timestamptz NOT NULL,
    level_at    timestamptz,
    events      bigint NOT NULL DEFAULT 0,
    cursor      text
) WITH (fillfactor = 50);

-- What operators see of it; public as the other reports are.
CREATE VIEW minoots.event_reader_report AS
SELECT name,
    CASE WHEN lease_until > clock_timestamp() THEN holder END AS replica, -- NULL: nobody reads
    level_at,                                                             -- when it last had all there was
    extract(epoch FROM clock_timestamp() - level_at)::float8 AS behind_seconds,
    events                                                                -- dealt with in all
FROM minoots.event_readers;

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'minoots_reporting') THEN
        GRANT SELECT ON minoots.event_reader_report TO minoots_reporting;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP VIEW minoots.event_reader_report;
DROP TABLE minoots.event_readers;
