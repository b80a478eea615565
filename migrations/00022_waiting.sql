-- Who waits for timers, and word to them when timers are over.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- A tenant of which requests wait, on whatever replica, at least until then. The replicas put it off
-- while they do; nobody takes it back, for others may wait by the same row.
CREATE TABLE minoots.waiting (
    until     timestamptz NOT NULL,
    tenant_id text PRIMARY KEY
);

-- +goose StatementBegin
-- tell_over tells the replicas which timers a statement has ended, if somebody waits for timers of their
-- tenants. Only then: a NOTIFY takes a lock of the whole cluster at commit. At the end of every statement
-- that updates states, and not in each of the dozen that end timers, so that the next one cannot forget
-- it; docs/adr/0021-waiting.md has what it costs.
--
-- A payload takes 8,000 bytes, 216 ids; past 4,000 timers of a statement "+" says: look at all.
CREATE FUNCTION minoots.tell_over() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM minoots.waiting WHERE until > now()) THEN
        PERFORM pg_notify('minoots_over', coalesce(string_agg(o.id::text, ',') FILTER (WHERE o.payload < 20), '+'))
        FROM (
            SELECT u.id, least((row_number() OVER () - 1) / 200, 20) AS payload
            FROM updated u
            WHERE u.status IN ('settled', 'failed', 'cancelled')
                AND EXISTS (SELECT FROM minoots.waiting w WHERE w.tenant_id = u.tenant_id AND w.until > now())
        ) o
        GROUP BY o.payload;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION minoots.tell_over FROM PUBLIC;

CREATE TRIGGER timer_states_over AFTER UPDATE ON minoots.timer_states
REFERENCING NEW TABLE AS updated
FOR EACH STATEMENT EXECUTE FUNCTION minoots.tell_over();

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TRIGGER timer_states_over ON minoots.timer_states;
DROP FUNCTION minoots.tell_over;
DROP TABLE minoots.waiting;
