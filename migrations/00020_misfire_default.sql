-- minoots.schedule follows the API: a misfire without a policy means fire_once, which is written out where
-- it is stored; the default of graceMs holds for an instant in the past too; and what is no duration or
-- instant is told in a whole sentence. 00005_sql_interface.sql says how the checks work.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- +goose StatementBegin
-- spec_fields lists the fields of minoots.TimerSpec and of the records in it, and of When, which is what
-- reschedule takes.
CREATE OR REPLACE FUNCTION minoots.spec_fields(record text) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE record
WHEN 'TimerSpec' THEN '{name text, requestedBy text, tenantId text, duration duration, fireAt instant,
    recurrence Recurrence, labels table, metadata any, actionBundle Bundle, agentBinding AgentBinding,
    misfire Misfire, jitterMs whole}'::text[]
WHEN 'When' THEN '{duration duration, fireAt instant, recurrence Recurrence}'
WHEN 'Recurrence' THEN '{cron text, every duration, timeZone text, dst DSTPolicy, startAt instant, endAt instant,
    maxOccurrences whole}'
WHEN 'DSTPolicy' THEN '{gap text, overlap text}'
WHEN 'Bundle' THEN '{concurrency whole, retryPolicy RetryPolicy, actions actions!, onFailure text, compensation actions}'
WHEN 'RetryPolicy' THEN '{maxAttempts whole, backoffInitialMs whole, backoffMultiplier number, backoffMaxMs whole,
    retryOn texts}'
WHEN 'Action' THEN '{id text!, kind text!, parameters any, retryPolicy RetryPolicy, escalation Escalation}'
WHEN 'Escalation' THEN '{afterAttempts whole!, escalatesTo Action!}'
WHEN 'AgentBinding' THEN '{adapter text!, target text!, payloadTemplate any, acknowledgementTimeoutMs whole}'
WHEN 'Misfire' THEN '{policy text, graceMs whole, maxLatenessMs whole}'
END $$;

-- check_misfire knows the policies of the contract; where none is given, fire_once is meant.
CREATE OR REPLACE FUNCTION minoots.check_misfire(bad jsonb, misfire jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF minoots.text_of(misfire -> 'policy') NOT IN ('', 'fire_once', 'fire_all', 'skip') THEN
        bad := minoots.note(bad, 'misfire.policy', 'must be fire_once, fire_all or skip');
    END IF;
    bad := minoots.check_range(bad, misfire -> 'graceMs', 'misfire.graceMs', 0, 31536000000, 'must be from 0 to 31536000000 (a year)');
    RETURN minoots.check_range(bad, misfire -> 'maxLatenessMs', 'misfire.maxLatenessMs', 0, 31536000000,
        'must be from 0 to 31536000000 (a year)');
END $$;

-- parse_duration reads "90s", "1h30m", "2d", ISO 8601, or a number of milliseconds, to the nanosecond.
CREATE OR REPLACE FUNCTION minoots.parse_duration(value jsonb, OUT nanos bigint, OUT problem text)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    written CONSTANT text := minoots.text_of(value);
    parsed  record;
    exact   numeric;
    why     text;
BEGIN
    IF written IS NULL THEN
        exact := minoots.whole_of(value) * 1e6;
        IF NOT coalesce(exact BETWEEN -63115200e11 AND 63115200e11, false) THEN -- twice a hundred years
            why := 'a number must be whole milliseconds in range';
        END IF;
    ELSIF octet_length(written) > 64 THEN
        why := 'too long';
    ELSE
        IF written ~ '^[-+]?P' THEN
            parsed := minoots.parse_duration_iso(written);
        ELSE
            parsed := minoots.parse_duration_units(written);
        END IF;
        exact := trunc(parsed.nanos);
        why := parsed.why;
        IF why IS NULL AND exact NOT BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
            why := 'out of range';
        END IF;
    END IF;
    IF why IS NULL THEN
        nanos := exact;
    ELSE
        problem := 'is not a duration (' || why
            || '): want "90s", "1h30m", "2d", ISO 8601 such as "PT1H", or a number of milliseconds';
    END IF;
END $$;

-- parse_instant reads RFC 3339 with a zone, and rounds up to the microsecond: an instant that is cut
-- short would let a timer fire early. It takes what Go's time.Parse takes, which is a little more than
-- RFC 3339: an hour of one digit, a comma, zones up to 24:60, and digits after the ninth, unread.
CREATE OR REPLACE FUNCTION minoots.parse_instant(value jsonb, OUT instant timestamptz, OUT problem text)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    part   CONSTANT text[] := regexp_match(minoots.text_of(value),
        '^([0-9]{4})-(0[1-9]|1[0-2])-([0-9]{2})T([01]?[0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:[.,]([0-9]+))?'
        || '(?:Z|([-+])([01][0-9]|2[0-4]):([0-5][0-9]|60))$');
    year   CONSTANT integer := CASE part[1]::integer WHEN 0 THEN -1 ELSE part[1]::integer END; -- make_date has no year 0
    month  CONSTANT integer := part[2]::integer;
    day    CONSTANT integer := part[3]::integer;
    micros bigint; -- since the midnight that the text names
    zone   bigint; -- minutes east of Greenwich
BEGIN
    IF jsonb_typeof(value) <> 'string' THEN
        problem := 'is not an instant: want a string such as "2026-11-23T17:03:20Z"';
        RETURN;
    ELSIF part IS NULL
        OR day NOT BETWEEN 1 AND (make_date(year, month, 1) + interval '1 month')::date - make_date(year, month, 1) THEN
        problem := 'is not an instant: want RFC 3339 with a zone, such as "2026-11-23T17:03:20Z"';
        RETURN;
    END IF;
    micros := 1000000 * (3600 * part[4]::bigint + 60 * part[5]::bigint + part[6]::bigint)
        + ceil(rpad(left(coalesce(part[7], ''), 9), 9, '0')::numeric / 1000);
    zone := coalesce((part[8] || '1')::bigint * (60 * part[9]::bigint + part[10]::bigint), 0);
    instant := (make_date(year, month, day) + (micros - 60000000 * zone) * interval '1 microsecond') AT TIME ZONE 'UTC';
END $$;

-- check_when wants exactly one of duration, fireAt and recurrence, within a hundred years. now() is
-- the time of the caller's transaction.
CREATE OR REPLACE FUNCTION minoots.check_when(bad jsonb, spec jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    horizon  CONSTANT interval := interval '876600 hours'; -- 36525 days, whatever the clocks do
    number   CONSTANT integer := minoots.given(spec -> 'duration')::integer
        + minoots.given(spec -> 'fireAt')::integer + minoots.given(spec -> 'recurrence')::integer;
    misfire  CONSTANT jsonb := spec -> 'misfire';
    grace    CONSTANT bigint := coalesce(nullif(least(minoots.whole_of(misfire -> 'graceMs'), 31536000000), 0), 60000);
    duration record;
    fire_at  record;
    every    bigint;
    before   integer;
BEGIN
    IF number <> 1 THEN
        bad := minoots.note(bad, '', 'must have exactly one of duration, fireAt and recurrence, and has ' || number);
    END IF;
    IF minoots.given(spec -> 'duration') THEN
        duration := minoots.parse_duration(spec -> 'duration');
        IF duration.problem IS NOT NULL THEN
            bad := minoots.note(bad, 'duration', duration.problem);
        ELSIF duration.nanos NOT BETWEEN 1000000 AND 31557600e11 THEN
            bad := minoots.note(bad, 'duration', 'must be from 1ms to 36525d (100 years)');
        END IF;
    END IF;
    IF minoots.given(spec -> 'fireAt') THEN
        fire_at := minoots.parse_instant(spec -> 'fireAt');
        IF fire_at.problem IS NOT NULL THEN
            bad := minoots.note(bad, 'fireAt', fire_at.problem);
        ELSIF fire_at.instant NOT BETWEEN now() - horizon AND now() + horizon THEN
            bad := minoots.note(bad, 'fireAt', 'must be within 100 years from now');
        END IF;
        -- Without a misfire, or later than the grace of skip, an instant in the past is a mistake.
        IF fire_at.instant < now() AND (NOT minoots.given(misfire)
            OR misfire ->> 'policy' = 'skip' AND fire_at.instant + grace * interval '1 millisecond' < now()) THEN
            bad := minoots.note(bad, 'fireAt', 'is in the past (now is '
                || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                || '); to have it fire at once, give misfire.policy fire_once');
        END IF;
    END IF;
    IF minoots.given(spec -> 'recurrence') THEN
        before := jsonb_array_length(bad);
        bad := minoots.check_recurrence(bad, spec -> 'recurrence');
        every := (minoots.parse_duration(spec #> '{recurrence,every}')).nanos;
        IF jsonb_array_length(bad) = before AND minoots.given(spec #> '{recurrence,every}')
            AND minoots.whole_of(spec -> 'jitterMs')::numeric * 1000000 >= every THEN
            bad := minoots.note(bad, 'jitterMs', 'would swallow the next occurrence; must be less than ' || every / 1000000
                || ', the shortest time between two occurrences (' || (spec #>> '{recurrence,every}') || ')');
        END IF;
    END IF;
    RETURN bad;
END $$;

-- misfire_of gives a misfire as minoots.Misfire.WithDefaults has it stored: with its policy written out.
CREATE FUNCTION minoots.misfire_of(misfire jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN jsonb '{"policy": "fire_once"}' || minoots.without_empty(minoots.without_zeros(misfire, ''));
END $$;

-- schedule writes what timer_create.sql writes, in the caller's transaction.
CREATE OR REPLACE FUNCTION minoots.schedule(tenant text, spec jsonb) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    id          CONSTANT uuid := minoots.uuid7();
    bad         jsonb;
    recurring   CONSTANT boolean := minoots.given(spec -> 'recurrence');
    duration_us bigint;
    fire_at     timestamptz;
    due_at      timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM minoots.tenants t WHERE t.id = tenant) THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = 'no tenant ' || coalesce(quote_literal(left(tenant, 64)), 'NULL'),
            HINT = 'Make it with: minoots tenants create ID';
    END IF;
    bad := minoots.check_timer(tenant, coalesce(spec, 'null'));
    IF bad <> '[]' THEN
        PERFORM minoots.refuse(bad, 'timer');
    END IF;

    duration_us := ((minoots.parse_duration(spec -> 'duration')).nanos + 999) / 1000; -- up: never early
    fire_at := coalesce((minoots.parse_instant(spec -> 'fireAt')).instant, now() + duration_us * interval '1 microsecond', now());
    due_at := CASE WHEN recurring THEN fire_at ELSE minoots.due_of(id, 1, fire_at, minoots.whole_of(spec -> 'jitterMs')) END;

    INSERT INTO minoots.timers (id, created_at, duration_us, jitter_ms, tenant_id, name, requested_by,
        labels, metadata, bundle, agent_binding, misfire, recurrence)
    VALUES (id, now(), duration_us, coalesce(minoots.whole_of(spec -> 'jitterMs'), 0), tenant,
        coalesce(spec ->> 'name', ''), coalesce(spec ->> 'requestedBy', ''),
        nullif(minoots.object_of(spec -> 'labels'), '{}'), (spec -> 'metadata')::json,
        CASE WHEN minoots.given(spec -> 'actionBundle') THEN minoots.bundle_of(spec -> 'actionBundle')::json END,
        CASE WHEN minoots.given(spec -> 'agentBinding') THEN minoots.agent_binding_of(spec -> 'agentBinding')::json END,
        CASE WHEN minoots.given(spec -> 'misfire') THEN minoots.misfire_of(spec -> 'misfire')::json END,
        CASE WHEN recurring THEN minoots.series_of(spec -> 'recurrence')::json END);
    INSERT INTO minoots.timer_states (id, fire_at, due_at, updated_at, actions, tenant_id, recurring, unarmed, may_skip)
    VALUES (id, fire_at, due_at, now(), coalesce(jsonb_array_length(spec #> '{actionBundle,actions}'), 0), tenant,
        recurring, nullif(recurring, false), CASE WHEN NOT recurring THEN minoots.may_skip(spec -> 'misfire') END);
    INSERT INTO minoots.events (timer_id, tenant_id, type) VALUES (id, tenant, 'timer.scheduled');
    PERFORM minoots.hint(due_at);
    RETURN id;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION minoots.misfire_of FROM PUBLIC;

-- +goose Down
SET LOCAL lock_timeout = '5s';

-- +goose StatementBegin
-- As in 00005_sql_interface.sql, 00009_sql_interface.sql and 00018_sql_recurrence.sql.
CREATE OR REPLACE FUNCTION minoots.spec_fields(record text) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE record
WHEN 'TimerSpec' THEN '{name text, requestedBy text, tenantId text, duration duration, fireAt instant,
    recurrence Recurrence, labels table, metadata any, actionBundle Bundle, agentBinding AgentBinding,
    misfire Misfire, jitterMs whole}'::text[]
WHEN 'When' THEN '{duration duration, fireAt instant, recurrence Recurrence}'
WHEN 'Recurrence' THEN '{cron text, every duration, timeZone text, dst DSTPolicy, startAt instant, endAt instant,
    maxOccurrences whole}'
WHEN 'DSTPolicy' THEN '{gap text, overlap text}'
WHEN 'Bundle' THEN '{concurrency whole, retryPolicy RetryPolicy, actions actions!, onFailure text, compensation actions}'
WHEN 'RetryPolicy' THEN '{maxAttempts whole, backoffInitialMs whole, backoffMultiplier number, backoffMaxMs whole,
    retryOn texts}'
WHEN 'Action' THEN '{id text!, kind text!, parameters any, retryPolicy RetryPolicy, escalation Escalation}'
WHEN 'Escalation' THEN '{afterAttempts whole!, escalatesTo Action!}'
WHEN 'AgentBinding' THEN '{adapter text!, target text!, payloadTemplate any, acknowledgementTimeoutMs whole}'
WHEN 'Misfire' THEN '{policy text!, graceMs whole, maxLatenessMs whole}'
END $$;

CREATE OR REPLACE FUNCTION minoots.check_misfire(bad jsonb, misfire jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF minoots.text_of(misfire -> 'policy') NOT IN ('fire_once', 'fire_all', 'skip') THEN
        bad := minoots.note(bad, 'misfire.policy', 'must be fire_once, fire_all or skip');
    END IF;
    bad := minoots.check_range(bad, misfire -> 'graceMs', 'misfire.graceMs', 0, 31536000000, 'must be from 0 to a year');
    RETURN minoots.check_range(bad, misfire -> 'maxLatenessMs', 'misfire.maxLatenessMs', 0, 31536000000,
        'must be from 0 to a year');
END $$;

CREATE OR REPLACE FUNCTION minoots.parse_duration(value jsonb, OUT nanos bigint, OUT problem text)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    written CONSTANT text := minoots.text_of(value);
    parsed  record;
    exact   numeric;
    why     text;
BEGIN
    IF written IS NULL THEN
        exact := minoots.whole_of(value) * 1e6;
        IF NOT coalesce(exact BETWEEN -63115200e11 AND 63115200e11, false) THEN -- twice a hundred years
            why := 'a number must be whole milliseconds in range';
        END IF;
    ELSIF octet_length(written) > 64 THEN
        why := 'too long';
    ELSE
        IF written ~ '^[-+]?P' THEN
            parsed := minoots.parse_duration_iso(written);
        ELSE
            parsed := minoots.parse_duration_units(written);
        END IF;
        exact := trunc(parsed.nanos);
        why := parsed.why;
        IF why IS NULL AND exact NOT BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
            why := 'out of range';
        END IF;
    END IF;
    IF why IS NULL THEN
        nanos := exact;
    ELSE
        problem := 'not a duration (' || why
            || '): want "90s", "1h30m", "2d", ISO 8601 such as "PT1H", or a number of milliseconds';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION minoots.parse_instant(value jsonb, OUT instant timestamptz, OUT problem text)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    part   CONSTANT text[] := regexp_match(minoots.text_of(value),
        '^([0-9]{4})-(0[1-9]|1[0-2])-([0-9]{2})T([01]?[0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:[.,]([0-9]+))?'
        || '(?:Z|([-+])([01][0-9]|2[0-4]):([0-5][0-9]|60))$');
    year   CONSTANT integer := CASE part[1]::integer WHEN 0 THEN -1 ELSE part[1]::integer END; -- make_date has no year 0
    month  CONSTANT integer := part[2]::integer;
    day    CONSTANT integer := part[3]::integer;
    micros bigint; -- since the midnight that the text names
    zone   bigint; -- minutes east of Greenwich
BEGIN
    IF jsonb_typeof(value) <> 'string' THEN
        problem := 'not an instant: want a string such as "2026-11-23T17:03:20Z"';
        RETURN;
    ELSIF part IS NULL
        OR day NOT BETWEEN 1 AND (make_date(year, month, 1) + interval '1 month')::date - make_date(year, month, 1) THEN
        problem := 'not an instant: want RFC 3339 with a zone, such as "2026-11-23T17:03:20Z"';
        RETURN;
    END IF;
    micros := 1000000 * (3600 * part[4]::bigint + 60 * part[5]::bigint + part[6]::bigint)
        + ceil(rpad(left(coalesce(part[7], ''), 9), 9, '0')::numeric / 1000);
    zone := coalesce((part[8] || '1')::bigint * (60 * part[9]::bigint + part[10]::bigint), 0);
    instant := (make_date(year, month, day) + (micros - 60000000 * zone) * interval '1 microsecond') AT TIME ZONE 'UTC';
END $$;

CREATE OR REPLACE FUNCTION minoots.check_when(bad jsonb, spec jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    horizon  CONSTANT interval := interval '876600 hours'; -- 36525 days, whatever the clocks do
    number   CONSTANT integer := minoots.given(spec -> 'duration')::integer
        + minoots.given(spec -> 'fireAt')::integer + minoots.given(spec -> 'recurrence')::integer;
    misfire  CONSTANT jsonb := spec -> 'misfire';
    grace    CONSTANT bigint := coalesce(least(minoots.whole_of(misfire -> 'graceMs'), 31536000000), 0);
    duration record;
    fire_at  record;
    every    bigint;
    before   integer;
BEGIN
    IF number <> 1 THEN
        bad := minoots.note(bad, '', 'must have exactly one of duration, fireAt and recurrence, and has ' || number);
    END IF;
    IF minoots.given(spec -> 'duration') THEN
        duration := minoots.parse_duration(spec -> 'duration');
        IF duration.problem IS NOT NULL THEN
            bad := minoots.note(bad, 'duration', duration.problem);
        ELSIF duration.nanos NOT BETWEEN 1000000 AND 31557600e11 THEN
            bad := minoots.note(bad, 'duration', 'must be from 1ms to 36525d (100 years)');
        END IF;
    END IF;
    IF minoots.given(spec -> 'fireAt') THEN
        fire_at := minoots.parse_instant(spec -> 'fireAt');
        IF fire_at.problem IS NOT NULL THEN
            bad := minoots.note(bad, 'fireAt', fire_at.problem);
        ELSIF fire_at.instant NOT BETWEEN now() - horizon AND now() + horizon THEN
            bad := minoots.note(bad, 'fireAt', 'must be within 100 years from now');
        END IF;
        -- Without a misfire policy, or later than the grace of skip, an instant in the past is a mistake.
        IF fire_at.instant < now() AND (NOT minoots.given(misfire)
            OR misfire ->> 'policy' = 'skip' AND fire_at.instant + grace * interval '1 millisecond' < now()) THEN
            bad := minoots.note(bad, 'fireAt', 'is in the past (now is '
                || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                || '); to have it fire at once, give misfire.policy fire_once');
        END IF;
    END IF;
    IF minoots.given(spec -> 'recurrence') THEN
        before := jsonb_array_length(bad);
        bad := minoots.check_recurrence(bad, spec -> 'recurrence');
        every := (minoots.parse_duration(spec #> '{recurrence,every}')).nanos;
        IF jsonb_array_length(bad) = before AND minoots.given(spec #> '{recurrence,every}')
            AND minoots.whole_of(spec -> 'jitterMs')::numeric * 1000000 >= every THEN
            bad := minoots.note(bad, 'jitterMs', 'would swallow the next occurrence; must be less than ' || every / 1000000
                || ', the shortest time between two occurrences (' || (spec #>> '{recurrence,every}') || ')');
        END IF;
    END IF;
    RETURN bad;
END $$;

CREATE OR REPLACE FUNCTION minoots.schedule(tenant text, spec jsonb) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    id          CONSTANT uuid := minoots.uuid7();
    bad         jsonb;
    recurring   CONSTANT boolean := minoots.given(spec -> 'recurrence');
    duration_us bigint;
    fire_at     timestamptz;
    due_at      timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM minoots.tenants t WHERE t.id = tenant) THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = 'no tenant ' || coalesce(quote_literal(left(tenant, 64)), 'NULL'),
            HINT = 'Make it with: minoots tenants create ID';
    END IF;
    bad := minoots.check_timer(tenant, coalesce(spec, 'null'));
    IF bad <> '[]' THEN
        PERFORM minoots.refuse(bad, 'timer');
    END IF;

    duration_us := ((minoots.parse_duration(spec -> 'duration')).nanos + 999) / 1000; -- up: never early
    fire_at := coalesce((minoots.parse_instant(spec -> 'fireAt')).instant, now() + duration_us * interval '1 microsecond', now());
    due_at := CASE WHEN recurring THEN fire_at ELSE minoots.due_of(id, 1, fire_at, minoots.whole_of(spec -> 'jitterMs')) END;

    INSERT INTO minoots.timers (id, created_at, duration_us, jitter_ms, tenant_id, name, requested_by,
        labels, metadata, bundle, agent_binding, misfire, recurrence)
    VALUES (id, now(), duration_us, coalesce(minoots.whole_of(spec -> 'jitterMs'), 0), tenant,
        coalesce(spec ->> 'name', ''), coalesce(spec ->> 'requestedBy', ''),
        nullif(minoots.object_of(spec -> 'labels'), '{}'), (spec -> 'metadata')::json,
        CASE WHEN minoots.given(spec -> 'actionBundle') THEN minoots.bundle_of(spec -> 'actionBundle')::json END,
        CASE WHEN minoots.given(spec -> 'agentBinding') THEN minoots.agent_binding_of(spec -> 'agentBinding')::json END,
        CASE WHEN minoots.given(spec -> 'misfire') THEN minoots.without_zeros(spec -> 'misfire', '')::json END,
        CASE WHEN recurring THEN minoots.series_of(spec -> 'recurrence')::json END);
    INSERT INTO minoots.timer_states (id, fire_at, due_at, updated_at, actions, tenant_id, recurring, unarmed, may_skip)
    VALUES (id, fire_at, due_at, now(), coalesce(jsonb_array_length(spec #> '{actionBundle,actions}'), 0), tenant,
        recurring, nullif(recurring, false), CASE WHEN NOT recurring THEN minoots.may_skip(spec -> 'misfire') END);
    INSERT INTO minoots.events (timer_id, tenant_id, type) VALUES (id, tenant, 'timer.scheduled');
    PERFORM minoots.hint(due_at);
    RETURN id;
END $$;

DROP FUNCTION minoots.misfire_of;
-- +goose StatementEnd
