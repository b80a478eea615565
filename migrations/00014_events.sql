-- Reading the log: marks for readers that are far behind, and the horizon below which it has been dropped.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- One row. id tells cursors of this log from those of another; dropped is the highest transaction of
-- which retention has dropped an event.
CREATE TABLE minoots.event_log (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    id      bigint NOT NULL DEFAULT (('x' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 8))::bit(32)::bigint),
    dropped xid8 NOT NULL DEFAULT '0'
);
INSERT INTO minoots.event_log DEFAULT VALUES;

-- Snapshots at intervals of some thousand events, between two of which a reader that is far behind reads
-- at a time. They are hints: without them the same is read, only by sorting all that is left for each page.
CREATE TABLE minoots.event_marks (
    xid_max  xid8 NOT NULL,
    seq      bigint NOT NULL,
    snapshot pg_snapshot NOT NULL,
    PRIMARY KEY (xid_max, seq)
);

-- +goose StatementBegin
-- mark_events notes the snapshot of a moment at which an event is written. Any true snapshot will do: it
-- need not be that of the writer. But the writer itself is in flight, and Postgres leaves whoever asks out
-- of its list: a reader would take its events before those for which it waits yet. The mark outlives a
-- crash only with the writer's commit, and then so does all that had ended before: the server will not
-- give the numbers that it knows to anybody again.
CREATE FUNCTION minoots.mark_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO minoots.event_marks (xid_max, seq, snapshot)
    SELECT pg_snapshot_xmax(s), NEW.seq, format('%s:%s:%s', least(pg_snapshot_xmin(s), pg_current_xact_id()), pg_snapshot_xmax(s), (
            SELECT string_agg(x::text, ',' ORDER BY x)
            FROM (
                SELECT pg_snapshot_xip(s) AS x
                UNION
                SELECT pg_current_xact_id() WHERE pg_current_xact_id() < pg_snapshot_xmax(s)
            ) AS in_flight
        ))::pg_snapshot
    FROM pg_current_snapshot() AS s;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- A condition on the row costs next to nothing (docs/adr/0020-events.md); the function runs for one in 1,024.
CREATE TRIGGER events_mark AFTER INSERT ON minoots.events
FOR EACH ROW WHEN (NEW.seq % 1024 = 0) EXECUTE FUNCTION minoots.mark_events();

-- +goose StatementBegin
-- events_forgotten raises the horizon. It is called in the transaction that drops events, so that a
-- reader sees either both or neither. Marks below it are of no more use.
CREATE FUNCTION minoots.events_forgotten(highest xid8) RETURNS void
LANGUAGE sql AS $$
UPDATE minoots.event_log SET dropped = highest WHERE highest > dropped;
DELETE FROM minoots.event_marks WHERE xid_max <= highest;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- renew_events makes the log of a restored dump readable. Transactions are numbered by the server, so
-- the numbers of a dump mean nothing on another one. All events become this transaction's, in the order
-- in which they were written, and cursors of the old log are refused.
CREATE FUNCTION minoots.renew_events() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    renewed bigint;
BEGIN
    UPDATE minoots.events SET xid = pg_current_xact_id();
    GET DIAGNOSTICS renewed = ROW_COUNT;
    DELETE FROM minoots.event_marks;
    DELETE FROM minoots.event_log;
    INSERT INTO minoots.event_log DEFAULT VALUES;
    RETURN renewed;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 00007, but that what is dropped of the log is noted.
CREATE OR REPLACE FUNCTION minoots.drop_partition(before timestamptz, after text, OUT partition text, OUT outcome text)
LANGUAGE plpgsql SET lock_timeout = '250ms' AS $$
DECLARE
    history text;
    since   timestamptz;
    until   timestamptz;
    running boolean;
    highest xid8;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7700, 2) THEN
        RETURN;
    END IF;
    SELECT p.partition, p.parent, p.begins, p.ends INTO partition, history, since, until
    FROM minoots.history_partitions() p
    WHERE p.ends <= before AND p.partition > after
    ORDER BY p.partition
    LIMIT 1;
    IF partition IS NULL THEN
        RETURN;
    END IF;
    outcome := 'running';
    IF history = 'firings' THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM minoots.%I WHERE status = ''running'')', partition) INTO running;
        IF running THEN
            RETURN;
        END IF;
    END IF;
    EXECUTE format('LOCK TABLE ONLY minoots.%I IN ACCESS EXCLUSIVE MODE', history);
    IF history = 'firings' AND EXISTS (
        SELECT FROM river.river_job j
        WHERE j.state::text NOT IN ('completed', 'cancelled', 'discarded')
            AND CASE j.kind WHEN 'action' THEN (j.args ->> 'dueAt')::timestamptz END >= since
            AND CASE j.kind WHEN 'action' THEN (j.args ->> 'dueAt')::timestamptz END < until
    ) THEN
        RETURN;
    END IF;
    IF history = 'events' THEN
        EXECUTE format('SELECT xid FROM minoots.%I ORDER BY xid DESC LIMIT 1', partition) INTO highest;
        PERFORM minoots.events_forgotten(highest);
    END IF;
    EXECUTE format('DROP TABLE minoots.%I', partition);
    outcome := 'dropped';
EXCEPTION WHEN lock_not_available THEN
    outcome := 'locked';
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION minoots.mark_events, minoots.events_forgotten, minoots.renew_events FROM PUBLIC;

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION minoots.drop_partition(before timestamptz, after text, OUT partition text, OUT outcome text)
LANGUAGE plpgsql SET lock_timeout = '250ms' AS $$
DECLARE
    history text;
    since   timestamptz;
    until   timestamptz;
    running boolean;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7700, 2) THEN
        RETURN;
    END IF;
    SELECT p.partition, p.parent, p.begins, p.ends INTO partition, history, since, until
    FROM minoots.history_partitions() p
    WHERE p.ends <= before AND p.partition > after
    ORDER BY p.partition
    LIMIT 1;
    IF partition IS NULL THEN
        RETURN;
    END IF;
    outcome := 'running';
    IF history = 'firings' THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM minoots.%I WHERE status = ''running'')', partition) INTO running;
        IF running THEN
            RETURN;
        END IF;
    END IF;
    EXECUTE format('LOCK TABLE ONLY minoots.%I IN ACCESS EXCLUSIVE MODE', history);
    IF history = 'firings' AND EXISTS (
        SELECT FROM river.river_job j
        WHERE j.state::text NOT IN ('completed', 'cancelled', 'discarded')
            AND CASE j.kind WHEN 'action' THEN (j.args ->> 'dueAt')::timestamptz END >= since
            AND CASE j.kind WHEN 'action' THEN (j.args ->> 'dueAt')::timestamptz END < until
    ) THEN
        RETURN;
    END IF;
    EXECUTE format('DROP TABLE minoots.%I', partition);
    outcome := 'dropped';
EXCEPTION WHEN lock_not_available THEN
    outcome := 'locked';
END $$;
-- +goose StatementEnd
DROP TRIGGER events_mark ON minoots.events;
DROP FUNCTION minoots.renew_events, minoots.events_forgotten, minoots.mark_events;
DROP TABLE minoots.event_marks, minoots.event_log;
