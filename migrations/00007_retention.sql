-- Retention: old history goes by the partition. And history_begins, which the audit asks what it may
-- expect to find.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- history_partitions lists the weekly partitions of the history tables. The default partitions have no
-- bounds and are not among them.
CREATE FUNCTION minoots.history_partitions()
RETURNS TABLE (parent text, partition text, begins timestamptz, ends timestamptz)
LANGUAGE sql STABLE AS $$
SELECT parent, partition, substring(bounds FROM 'FROM \(''([^'']+)''\)')::timestamptz,
    substring(bounds FROM 'TO \(''([^'']+)''\)')::timestamptz
FROM (
    SELECT p.relname::text AS parent, c.relname::text AS partition, pg_get_expr(c.relpartbound, c.oid) AS bounds
    FROM pg_inherits i
    JOIN pg_class p ON p.oid = i.inhparent
    JOIN pg_class c ON c.oid = i.inhrelid
    WHERE p.relnamespace = 'minoots'::regnamespace AND c.relnamespace = p.relnamespace
        AND p.relname IN ('firings', 'attempts', 'events') AND p.relkind = 'p'
) AS children
WHERE bounds LIKE 'FOR VALUES FROM (''%'
$$;

-- history_begins tells from when on a history table is whole: what is older has been dropped, but for
-- stray rows in the default partition, and for weeks that were kept because something in them runs.
CREATE FUNCTION minoots.history_begins(history text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
SELECT coalesce(max(p.begins), '-infinity')
FROM minoots.history_partitions() p
WHERE p.parent = history AND p.begins <= now()
    AND NOT EXISTS (SELECT FROM minoots.history_partitions() q WHERE q.parent = history AND q.ends = p.begins)
$$;

-- first_id is the least id of a timer made at an instant: ids are UUIDv7.
CREATE FUNCTION minoots.first_id(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
SELECT (lpad(to_hex(greatest(extract(epoch FROM at) * 1000, 0)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- +goose StatementBegin
-- drop_partition drops the first weekly partition after the given one, by name, all of which is older
-- than "before". It gives its name, NULL at the end or if another replica is at it, and what became of
-- it:
--   dropped
--   running  kept: an action of a firing in it still runs
--   locked   kept: somebody holds the table; to be tried again
-- One partition a call, since a call is a transaction and a drop locks the whole table until its end.
-- DETACH CONCURRENTLY would not, but does not work beside a default partition.
--
-- A partition with a running firing is never dropped. They are looked for before the lock, because a
-- week's firings take long to read. One that comes in between, of a timer found due so very late, has
-- its jobs in River (one transaction makes both), and those are few: they are looked for under the
-- lock, beside which nothing can fire.
--
-- The lock waits little, because all that fires waits behind it.
CREATE FUNCTION minoots.drop_partition(before timestamptz, after text, OUT partition text, OUT outcome text)
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

REVOKE ALL ON FUNCTION minoots.history_partitions, minoots.history_begins, minoots.first_id, minoots.drop_partition FROM PUBLIC;

-- +goose Down
DROP FUNCTION minoots.drop_partition, minoots.first_id, minoots.history_begins, minoots.history_partitions;
