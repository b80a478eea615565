-- minoots.schedule and minoots.cancel, for a user's own transaction: docs/sql.md. What they refuse is
-- what the API refuses: db/testdata/specs.json holds specs for every rule, and a test gives each to
-- this file and to the Go code and asks for the same answer.
--
-- schedule and cancel run as their owner, for callers who own nothing here. So they look names up in
-- pg_catalog alone, whatever the caller's search_path; every name of ours is written with its schema;
-- no literal has a backslash, whose meaning a caller could change (standard_conforming_strings); and
-- no instant passes through text, whose form a caller could change (DateStyle, TimeZone).
--
-- Read in this order: schedule and cancel at the end, check_timer, then its checks one by one.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- +goose StatementBegin
-- spec_fields lists the fields of minoots.TimerSpec and of the records in it, and what they hold. "!"
-- marks those that must be there; in the others null stands for absence. A test derives the same from
-- the Go types.
CREATE FUNCTION minoots.spec_fields(record text) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE record
WHEN 'TimerSpec' THEN '{name text, requestedBy text, tenantId text, duration duration, fireAt instant,
    recurrence Recurrence, labels table, metadata any, actionBundle Bundle, agentBinding AgentBinding,
    misfire Misfire, jitterMs whole}'::text[]
WHEN 'Recurrence' THEN '{cron text, every duration, timeZone text, dst DSTPolicy, startAt instant, endAt instant,
    maxOccurrences whole}'
WHEN 'DSTPolicy' THEN '{gap text, overlap text}'
WHEN 'Bundle' THEN '{concurrency whole, retryPolicy RetryPolicy, actions actions!}'
WHEN 'RetryPolicy' THEN '{maxAttempts whole, backoffInitialMs whole, backoffMultiplier number, backoffMaxMs whole}'
WHEN 'Action' THEN '{id text!, kind text!, parameters any, retryPolicy RetryPolicy, escalation Escalation}'
WHEN 'Escalation' THEN '{afterAttempts whole!, escalatesTo Action!}'
WHEN 'AgentBinding' THEN '{adapter text!, target text!, payloadTemplate any, acknowledgementTimeoutMs whole}'
WHEN 'Misfire' THEN '{policy text!, graceMs whole}'
END $$;

-- The checks work in one way: each takes the list of what is wrong so far, an array of {path, message},
-- and gives it back with what it finds. A value of the wrong type is shape_problem's to tell; the other
-- checks see NULL in its place, by the next five functions, and say nothing.

-- given tells whether a field is there: null is the same as absent.
CREATE FUNCTION minoots.given(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce(jsonb_typeof(value) <> 'null', false) $$;

-- text_of gives a string's text, and NULL for all else.
CREATE FUNCTION minoots.text_of(value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' END $$;

-- object_of gives an object, and NULL for all else.
CREATE FUNCTION minoots.object_of(value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$ SELECT CASE jsonb_typeof(value) WHEN 'object' THEN value END $$;

-- list_of gives an array, and NULL for all else.
CREATE FUNCTION minoots.list_of(value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$ SELECT CASE jsonb_typeof(value) WHEN 'array' THEN value END $$;

-- whole_of gives a whole number of 64 bits, written without a point, and NULL for all else.
CREATE FUNCTION minoots.whole_of(value jsonb) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF jsonb_typeof(value) = 'number' AND scale(value::numeric) = 0
        AND value::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
        RETURN value::bigint;
    END IF;
    RETURN NULL;
END $$;

-- note adds a mistake to the list, up to a hundred: a hostile spec could have one in every ten bytes.
-- It and what calls it are plpgsql, since a function in SQL becomes a part of its callers' expressions,
-- each of which every transaction prepares anew: 0.29 ms of CPU for a check, 0.45 in SQL.
CREATE FUNCTION minoots.note(bad jsonb, path text, message text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF jsonb_array_length(bad) < 100 THEN
        RETURN bad || jsonb_build_object('path', path, 'message', message);
    END IF;
    RETURN bad;
END $$;

-- below is the path of a field. A key that the caller made up is cut short.
CREATE FUNCTION minoots.below(path text, key text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE path WHEN '' THEN '' ELSE path || '.' END || left(key, 40) || CASE WHEN length(key) > 40 THEN '…' ELSE '' END;
END $$;

-- check_limits walks over all of a spec, metadata and parameters included, for what costs a reader
-- too much. check_timer calls it only if there is something to find. Of the path of what is too deep,
-- start is the first eight steps, which will do.
CREATE FUNCTION minoots.check_limits(bad jsonb, value jsonb, path text, start text, depth integer) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    kind CONSTANT text := jsonb_typeof(value);
    item record;
BEGIN
    IF kind = 'number' AND abs(value::numeric) >= 1.797693134862315808e308 THEN
        bad := minoots.note(bad, path, 'must be a number that a 64-bit float can hold');
    ELSIF kind IN ('object', 'array') AND depth = 64 THEN
        bad := minoots.note(bad, start, 'must not be nested more than 64 deep');
    ELSIF kind IN ('object', 'array') THEN
        FOR item IN
            SELECT minoots.below(path, e.key) AS path, e.value FROM jsonb_each(minoots.object_of(value)) e
            UNION ALL
            SELECT path || '[' || e.n - 1 || ']', e.item
            FROM jsonb_array_elements(minoots.list_of(value)) WITH ORDINALITY e (item, n)
        LOOP
            bad := minoots.check_limits(bad, item.value, item.path, CASE WHEN depth < 8 THEN item.path ELSE start END, depth + 1);
        END LOOP;
    END IF;
    RETURN bad;
END $$;

-- shape_problem tells a value of the wrong type. What an instant or a duration holds is told with its
-- field.
CREATE FUNCTION minoots.shape_problem(value jsonb, want text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    found CONSTANT text := jsonb_typeof(value);
BEGIN
    RETURN CASE
    WHEN want IN ('any', 'duration', 'instant') THEN NULL
    WHEN found = 'null' THEN 'must not be null'
    WHEN want = 'text' THEN CASE WHEN found <> 'string' THEN 'must be a string' END
    WHEN want = 'number' THEN CASE WHEN found <> 'number' THEN 'must be a number' END
    WHEN want = 'whole' THEN CASE WHEN found <> 'number' THEN 'must be a whole number'
        WHEN minoots.whole_of(value) IS NULL THEN 'must be a whole number of 64 bits' END
    WHEN want = 'actions' THEN CASE WHEN found <> 'array' THEN 'must be a list'
        WHEN jsonb_array_length(value) > 100 THEN 'must be at most 100 items' END
    WHEN found <> 'object' THEN 'must be an object' END;
END $$;

-- check_record checks the fields of an object against spec_fields, and what is in them likewise.
CREATE FUNCTION minoots.check_record(bad jsonb, value jsonb, path text, record text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    known   CONSTANT text[] := minoots.spec_fields(record);
    unknown jsonb := value;
    field   text;
    name    text;
    want    text;
    problem text;
BEGIN
    FOREACH field IN ARRAY known LOOP
        name := split_part(field, ' ', 1);
        want := split_part(field, ' ', 2);
        unknown := unknown - name;
        CONTINUE WHEN want NOT LIKE '%!' AND NOT minoots.given(value -> name);
        want := rtrim(want, '!');
        problem := CASE WHEN value ? name THEN minoots.shape_problem(value -> name, want) ELSE 'is missing' END;
        IF problem IS NOT NULL THEN
            bad := minoots.note(bad, minoots.below(path, name), problem);
        ELSIF want = 'table' THEN
            bad := minoots.check_table(bad, value -> name, minoots.below(path, name));
        ELSIF want = 'actions' THEN
            bad := minoots.check_actions(bad, value -> name, minoots.below(path, name));
        ELSIF want ~ '^[A-Z]' THEN
            bad := minoots.check_record(bad, value -> name, minoots.below(path, name), want);
        END IF;
    END LOOP;
    IF unknown <> '{}' THEN
        problem := 'is not a field here: want one of '
            || regexp_replace(array_to_string(known, ', '), ' [A-Za-z]+!?(?=,|$)', '', 'g');
        FOR name IN SELECT jsonb_object_keys(unknown) LIMIT 100 LOOP
            bad := minoots.note(bad, minoots.below(path, name), problem);
        END LOOP;
    END IF;
    RETURN bad;
END $$;

-- check_actions checks the shape of a bundle's actions.
CREATE FUNCTION minoots.check_actions(bad jsonb, actions jsonb, path text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    problem text;
BEGIN
    FOR i IN 0 .. jsonb_array_length(actions) - 1 LOOP
        problem := minoots.shape_problem(actions -> i, 'Action');
        IF problem IS NULL THEN
            bad := minoots.check_record(bad, actions -> i, path || '[' || i || ']', 'Action');
        ELSE
            bad := minoots.note(bad, path || '[' || i || ']', problem);
        END IF;
    END LOOP;
    RETURN bad;
END $$;

-- check_table checks that the values of an object with free keys are strings.
CREATE FUNCTION minoots.check_table(bad jsonb, value jsonb, path text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    name text;
BEGIN
    IF jsonb_path_exists(value, 'strict $.* ? (@.type() != "string")') THEN
        FOR name IN SELECT e.key FROM jsonb_each(value) e WHERE jsonb_typeof(e.value) <> 'string' LIMIT 100 LOOP
            bad := minoots.note(bad, minoots.below(path, name), minoots.shape_problem(value -> name, 'text'));
        END LOOP;
    END IF;
    RETURN bad;
END $$;

-- check_text refuses texts that are too long. NUL and broken UTF-8 cannot be in a jsonb.
CREATE FUNCTION minoots.check_text(bad jsonb, value text, path text, at_most integer) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF length(value) > at_most THEN
        RETURN minoots.note(bad, path, 'must be at most ' || at_most || ' characters');
    END IF;
    RETURN bad;
END $$;

-- check_range holds a whole number between bounds.
CREATE FUNCTION minoots.check_range(bad jsonb, value jsonb, path text, at_least bigint, at_most bigint, message text)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF minoots.whole_of(value) NOT BETWEEN at_least AND at_most THEN
        RETURN minoots.note(bad, path, message);
    END IF;
    RETURN bad;
END $$;

-- parse_number reads the number of a duration, NULL if it is none.
CREATE FUNCTION minoots.parse_number(written text) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN written ~ '^([0-9]+[.]?[0-9]*|[.][0-9]+)$' AND length(written) <= 30 THEN written::numeric END $$;

-- parse_duration_units reads an optional minus and then numbers, each with its unit: "1h30m".
CREATE FUNCTION minoots.parse_duration_units(written text, OUT nanos numeric, OUT why text)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    rest   text := CASE WHEN written LIKE '-%' THEN substr(written, 2) ELSE written END;
    number text;
    unit   text;
    factor numeric;
BEGIN
    nanos := 0;
    IF rest = '' THEN
        why := 'empty';
    END IF;
    WHILE rest <> '' LOOP
        number := substring(rest FROM '^[0-9.]+');
        unit := substring(substr(rest, length(number) + 1) FROM '^[^0-9.]+');
        factor := CASE unit WHEN 'ns' THEN 1 WHEN 'us' THEN 1e3 WHEN 'µs' THEN 1e3 WHEN 'ms' THEN 1e6 WHEN 's' THEN 1e9
            WHEN 'm' THEN 60e9 WHEN 'h' THEN 3600e9 WHEN 'd' THEN 86400e9 WHEN 'w' THEN 604800e9 END;
        why := CASE WHEN unit IS NULL THEN 'a number and a unit are needed'
            WHEN factor IS NULL THEN 'unknown unit ' || to_json(unit)::text
            WHEN minoots.parse_number(number) IS NULL THEN 'bad number' END;
        EXIT WHEN why IS NOT NULL;
        nanos := nanos + minoots.parse_number(number) * factor;
        rest := substr(rest, length(number) + length(unit) + 1);
    END LOOP;
    nanos := CASE WHEN written LIKE '-%' THEN -nanos ELSE nanos END;
END $$;

-- parse_duration_iso reads P[nW][nD][T[nH][nM][nS]], with a point or a comma in any number. Months
-- and years have no fixed length.
CREATE FUNCTION minoots.parse_duration_iso(written text, OUT nanos numeric, OUT why text)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    half   CONSTANT text[] := regexp_match(written, '^[-+]?P([^T]*)(T?)(.*)$'); -- before and after the T
    rest   text;
    units  text; -- the designators that may still come, in this order
    number text;
    letter text;
BEGIN
    nanos := 0;
    IF half[1] || half[2] = '' OR half[2] = 'T' AND half[3] = '' THEN
        why := 'nothing after P or T';
        RETURN;
    END IF;
    FOR i IN 1 .. 2 LOOP
        rest := CASE i WHEN 1 THEN half[1] ELSE half[3] END;
        units := CASE i WHEN 1 THEN 'WD' ELSE 'HMS' END;
        WHILE rest <> '' LOOP
            number := substring(rest FROM '^[0-9.,]+');
            letter := substr(rest, length(number) + 1, 1);
            why := CASE WHEN coalesce(letter, '') = '' THEN 'a number and a designator are needed'
                WHEN strpos(units, letter) = 0 AND (letter = 'Y' OR letter = 'M' AND i = 1)
                    THEN 'months and years have no fixed length; use fireAt or a recurrence'
                WHEN strpos(units, letter) = 0 THEN 'unknown or misplaced designator'
                WHEN minoots.parse_number(regexp_replace(number, ',', '.')) IS NULL THEN 'bad number' END;
            IF why IS NOT NULL THEN
                RETURN;
            END IF;
            nanos := nanos + minoots.parse_number(regexp_replace(number, ',', '.')) * CASE letter
                WHEN 'W' THEN 604800e9 WHEN 'D' THEN 86400e9 WHEN 'H' THEN 3600e9 WHEN 'M' THEN 60e9 ELSE 1e9 END;
            units := substr(units, strpos(units, letter) + 1);
            rest := substr(rest, length(number) + 2);
        END LOOP;
    END LOOP;
    nanos := CASE WHEN written LIKE '-%' THEN -nanos ELSE nanos END;
END $$;

-- parse_duration reads "90s", "1h30m", "2d", ISO 8601, or a number of milliseconds, to the nanosecond.
CREATE FUNCTION minoots.parse_duration(value jsonb, OUT nanos bigint, OUT problem text)
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

-- parse_instant reads RFC 3339 with a zone, and rounds up to the microsecond: an instant that is cut
-- short would let a timer fire early. It takes what Go's time.Parse takes, which is a little more than
-- RFC 3339: an hour of one digit, a comma, zones up to 24:60, and digits after the ninth, unread.
CREATE FUNCTION minoots.parse_instant(value jsonb, OUT instant timestamptz, OUT problem text)
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

-- check_when wants exactly one of duration, fireAt and recurrence, within a hundred years. now() is
-- the time of the caller's transaction.
CREATE FUNCTION minoots.check_when(bad jsonb, spec jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    horizon  CONSTANT interval := interval '876600 hours'; -- 36525 days, whatever the clocks do
    number   CONSTANT integer := minoots.given(spec -> 'duration')::integer
        + minoots.given(spec -> 'fireAt')::integer + minoots.given(spec -> 'recurrence')::integer;
    misfire  CONSTANT jsonb := spec -> 'misfire';
    grace    CONSTANT bigint := coalesce(least(minoots.whole_of(misfire -> 'graceMs'), 31536000000), 0);
    duration record;
    fire_at  record;
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
        bad := minoots.note(bad, 'recurrence', 'is not available in this version; give duration or fireAt');
        bad := minoots.check_recurrence(bad, spec -> 'recurrence');
    END IF;
    RETURN bad;
END $$;

-- check_recurrence tells durations and instants that are none.
CREATE FUNCTION minoots.check_recurrence(bad jsonb, recurrence jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    field   text;
    problem text;
BEGIN
    FOREACH field IN ARRAY ARRAY['every', 'startAt', 'endAt'] LOOP
        CONTINUE WHEN NOT minoots.given(recurrence -> field);
        problem := CASE field WHEN 'every' THEN (minoots.parse_duration(recurrence -> field)).problem
            ELSE (minoots.parse_instant(recurrence -> field)).problem END;
        IF problem IS NOT NULL THEN
            bad := minoots.note(bad, 'recurrence.' || field, problem);
        END IF;
    END LOOP;
    RETURN bad;
END $$;

-- check_labels holds labels to their number, form and lengths.
CREATE FUNCTION minoots.check_labels(bad jsonb, labels jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    names CONSTANT text[] := ARRAY(SELECT jsonb_object_keys(minoots.object_of(labels)));
    name  text;
    path  text;
BEGIN
    IF cardinality(names) > 64 THEN
        RETURN minoots.note(bad, 'labels', 'must be at most 64 pairs, not ' || cardinality(names));
    END IF;
    FOREACH name IN ARRAY names LOOP
        path := minoots.below('labels', name);
        IF name = '' OR strpos(name, ':') > 0 THEN
            bad := minoots.note(bad, path, 'key must not be empty nor contain '':''');
        END IF;
        bad := minoots.check_text(bad, name, path, 64);
        bad := minoots.check_text(bad, minoots.text_of(labels -> name), path, 256);
    END LOOP;
    RETURN bad;
END $$;

-- check_misfire knows the policies of the contract.
CREATE FUNCTION minoots.check_misfire(bad jsonb, misfire jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF minoots.text_of(misfire -> 'policy') NOT IN ('fire_once', 'fire_all', 'skip') THEN
        bad := minoots.note(bad, 'misfire.policy', 'must be fire_once, fire_all or skip');
    END IF;
    RETURN minoots.check_range(bad, misfire -> 'graceMs', 'misfire.graceMs', 0, 31536000000, 'must be from 0 to a year');
END $$;

-- check_retry_policy takes 0 for the default, as Go does.
CREATE FUNCTION minoots.check_retry_policy(bad jsonb, policy jsonb, path text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    multiplier CONSTANT numeric := CASE jsonb_typeof(policy -> 'backoffMultiplier')
        WHEN 'number' THEN (policy -> 'backoffMultiplier')::numeric END;
BEGIN
    bad := minoots.check_range(bad, policy -> 'maxAttempts', path || '.maxAttempts', 0, 100, 'must be from 1 to 100');
    bad := minoots.check_range(bad, policy -> 'backoffInitialMs', path || '.backoffInitialMs', 0, 86400000,
        'must be from 1 to 86400000 (a day)');
    IF multiplier <> 0 AND multiplier NOT BETWEEN 1 AND 100 THEN
        bad := minoots.note(bad, path || '.backoffMultiplier', 'must be from 1 to 100');
    END IF;
    RETURN minoots.check_range(bad, policy -> 'backoffMaxMs', path || '.backoffMaxMs', 0, 604800000,
        'must be from 1 to 604800000 (a week)');
END $$;

-- check_agent_binding holds it to its lengths and wants both names.
CREATE FUNCTION minoots.check_agent_binding(bad jsonb, binding jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    bad := minoots.check_text(bad, minoots.text_of(binding -> 'adapter'), 'agentBinding.adapter', 64);
    bad := minoots.check_text(bad, minoots.text_of(binding -> 'target'), 'agentBinding.target', 2048);
    IF minoots.text_of(binding -> 'adapter') = '' OR minoots.text_of(binding -> 'target') = '' THEN
        bad := minoots.note(bad, 'agentBinding', 'must name an adapter and a target');
    END IF;
    RETURN minoots.check_range(bad, binding -> 'acknowledgementTimeoutMs', 'agentBinding.acknowledgementTimeoutMs',
        0, 604800000, 'must be from 1 to 604800000 (a week)');
END $$;

-- check_bundle checks the bundle's own fields and each of its actions.
CREATE FUNCTION minoots.check_bundle(bad jsonb, bundle jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    actions CONSTANT jsonb := minoots.list_of(bundle -> 'actions');
    number  CONSTANT integer := coalesce(jsonb_array_length(actions), 0);
    seen    text[] := '{}';
BEGIN
    bad := minoots.check_range(bad, bundle -> 'concurrency', 'actionBundle.concurrency', 0, 100, 'must be from 1 to 100');
    IF minoots.given(bundle -> 'retryPolicy') THEN
        bad := minoots.check_retry_policy(bad, bundle -> 'retryPolicy', 'actionBundle.retryPolicy');
    END IF;
    IF number > 100 THEN
        RETURN bad; -- shape_problem has told
    END IF;
    FOR i IN 0 .. number - 1 LOOP
        bad := minoots.check_action(bad, actions -> i, 'actionBundle.actions[' || i || ']', seen);
        seen := seen || minoots.text_of(actions -> i -> 'id');
    END LOOP;
    RETURN bad;
END $$;

-- check_action checks one action; seen are the ids of those before it. The kinds that can be had are
-- those with an executor in workers/action.NewRegistry.
CREATE FUNCTION minoots.check_action(bad jsonb, action jsonb, path text, seen text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    id   CONSTANT text := minoots.text_of(action -> 'id');
    kind CONSTANT text := minoots.text_of(action -> 'kind');
BEGIN
    IF id !~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$' THEN
        bad := minoots.note(bad, path || '.id', 'must be 1 to 64 of letters, digits, and _ . : - after the first');
    ELSIF id = ANY (seen) THEN
        bad := minoots.note(bad, path || '.id', to_json(id)::text || ' stands twice in the bundle; ids must differ');
    END IF;
    IF minoots.given(action -> 'retryPolicy') THEN
        bad := minoots.check_retry_policy(bad, action -> 'retryPolicy', path || '.retryPolicy');
    END IF;
    IF kind = 'webhook' THEN
        bad := minoots.check_webhook(bad, action -> 'parameters', path || '.parameters');
    ELSIF kind IN ('agent_prompt', 'workflow_event', 'command') THEN
        bad := minoots.note(bad, path || '.kind', to_json(kind)::text || ' actions are not available in this version');
    ELSIF kind IS NOT NULL THEN
        bad := minoots.note(bad, path || '.kind', 'must be one of [webhook agent_prompt workflow_event command]');
    END IF;
    IF minoots.given(action -> 'escalation') THEN
        bad := minoots.note(bad, path || '.escalation', 'is not available in this version');
    END IF;
    RETURN bad;
END $$;

-- check_webhook checks a webhook's parameters, which to check_record are any JSON.
CREATE FUNCTION minoots.check_webhook(bad jsonb, parameters jsonb, path text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    known   CONSTANT text[] := ARRAY['url', 'method', 'headers', 'body', 'timeoutMs'];
    url     CONSTANT jsonb := parameters -> 'url';
    method  CONSTANT jsonb := parameters -> 'method';
    timeout CONSTANT jsonb := parameters -> 'timeoutMs';
    problem text;
    name    text;
BEGIN
    IF minoots.given(parameters) AND jsonb_typeof(parameters) <> 'object' THEN
        RETURN minoots.note(bad, path, 'must be a JSON object');
    END IF;
    problem := CASE WHEN NOT minoots.given(url) THEN minoots.url_problem('')
        WHEN jsonb_typeof(url) <> 'string' THEN 'must be a string'
        ELSE minoots.url_problem(minoots.text_of(url)) END;
    IF problem IS NOT NULL THEN
        bad := minoots.note(bad, path || '.url', problem);
    END IF;
    IF minoots.given(method) AND jsonb_typeof(method) <> 'string' THEN
        bad := minoots.note(bad, path || '.method', 'must be a string');
    ELSIF minoots.text_of(method) NOT IN ('GET', 'POST', 'PUT', 'PATCH', 'DELETE') THEN
        bad := minoots.note(bad, path || '.method', 'must be one of GET, POST, PUT, PATCH, DELETE');
    END IF;
    IF minoots.given(parameters -> 'headers') THEN
        bad := minoots.check_headers(bad, parameters -> 'headers', path || '.headers');
    END IF;
    IF minoots.given(timeout) AND minoots.whole_of(timeout) IS NULL THEN
        bad := minoots.note(bad, path || '.timeoutMs', 'must be a whole number of milliseconds');
    END IF;
    bad := minoots.check_range(bad, timeout, path || '.timeoutMs', 1, 300000, 'must be from 1 to 300000');
    IF minoots.object_of(parameters) - known <> '{}' THEN
        FOR name IN SELECT jsonb_object_keys(parameters - known) LIMIT 100 LOOP
            IF name !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{0,128}$' THEN -- not what a path is made of
                name := to_json(left(name, 40))::text;
            END IF;
            bad := minoots.note(bad, rtrim(path || '.' || name, '.'), 'is not a parameter; there are ' || array_to_string(known, ', '));
        END LOOP;
    END IF;
    RETURN bad;
END $$;

-- is_ipv6 tells IPv6 addresses.
CREATE FUNCTION minoots.is_ipv6(address text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN family(address::inet) = 6;
EXCEPTION WHEN invalid_text_representation THEN
    RETURN false;
END $$;

-- url_problem says what is wrong with a webhook's URL, NULL if nothing is. It takes what Go's
-- url.Parse takes. Whether its address may be reached is not known here: the ranges that an operator
-- allows are a setting of the replicas, and they ask at every dial.
CREATE FUNCTION minoots.url_problem(url text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    control CONSTANT text := '[' || chr(1) || '-' || chr(31) || chr(127) || ']';
    part    CONSTANT text[] := regexp_match(url, '^[Hh][Tt][Tt][Pp][Ss]?:(?://([^/?#]*)([^?#]*))?'); -- authority, path
    place   CONSTANT text[] := regexp_match(part[1], '^(.*?)(?::([0-9]*))?$');
    host    CONSTANT text := coalesce(place[1], '');
    port    CONSTANT text := place[2];
BEGIN
    RETURN CASE
    WHEN url = '' THEN
        'is required, such as "https://example.com/hook"'
    WHEN length(url) > 2048 THEN
        'must be at most 2048 characters'
    WHEN url ~ control OR part[2] ~ '%(?![0-9A-Fa-f]{2})' OR strpos(part[1], chr(92)) > 0
        OR part IS NULL AND url ~ '^[^/?#]*:' AND url !~ '^[A-Za-z][A-Za-z0-9+.-]*:' THEN
        'is not a URL; want one such as "https://example.com/hook"'
    WHEN part IS NULL THEN
        'must begin with https:// or http://'
    WHEN strpos(part[1], '@') > 0 THEN
        'must not hold a user name or password; send them in headers.Authorization'
    WHEN host = '' THEN
        'must name a host'
    WHEN NOT minoots.is_host(host) THEN
        'is not a URL; want one such as "https://example.com/hook"'
    WHEN strpos(url, '#') > 0 THEN
        'must not have a fragment (#…): it would not be sent'
    WHEN nullif(port, '')::numeric NOT BETWEEN 1 AND 65535 THEN
        'must have a port from 1 to 65535'
    WHEN minoots.looks_numeric(host) THEN
        'must name its host by a DNS name or a full IP address such as 192.0.2.1'
    END;
END $$;

-- is_host tells hosts that url.Parse takes: an IPv6 address in brackets; or of ASCII what may stand in
-- a host (url_problem has seen to the backslash), and of other characters all. It takes no zone
-- (%25eth0): that leads to a link, which is never public.
CREATE FUNCTION minoots.is_host(host text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN host LIKE '[%' THEN host ~ '^[[][0-9A-Fa-f:.]+[]]$' AND minoots.is_ipv6(btrim(host, '[]'))
    ELSE host ~ '^([^:[^`{|}% ]|%25|%[89A-Fa-f][0-9A-Fa-f])+$' END $$;

-- looks_numeric tells hosts such as 127.1, 2130706433 and 0x7f.0.0.1, which are no IP addresses to Go
-- but are to some resolvers.
CREATE FUNCTION minoots.looks_numeric(host text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
SELECT host NOT LIKE '[%'
    AND host !~ '^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])([.](?!$)|$)){4}$'
    AND substring(host FROM '([^.]*)[.]?$')
        ~ '^([0-9]+|[1-9][0-9]*(_[0-9]+)*|0[xX](_?[0-9A-Fa-f])+|0[bB](_?[01])+|0[oO]?(_?[0-7])+)$' $$;

-- check_headers refuses names and values that would break out of a header line, and headers that are
-- not the caller's to set.
CREATE FUNCTION minoots.check_headers(bad jsonb, headers jsonb, path text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    control CONSTANT text := '[' || chr(1) || '-' || chr(8) || chr(10) || '-' || chr(31) || chr(127) || ']'; -- but the tab
    names   CONSTANT text[] := ARRAY(SELECT jsonb_object_keys(minoots.object_of(headers)));
    seen    text[] := '{}';
    name    text;
    lowered text;
    problem text;
BEGIN
    IF jsonb_typeof(headers) <> 'object'
        OR jsonb_path_exists(headers, 'strict $.* ? (@.type() != "string" && @.type() != "null")') THEN
        RETURN minoots.note(bad, path, 'must be an object whose values are strings');
    ELSIF cardinality(names) > 50 THEN
        RETURN minoots.note(bad, path, 'must be at most 50, not ' || cardinality(names));
    END IF;
    FOREACH name IN ARRAY names LOOP
        lowered := lower(name COLLATE "C");
        problem := CASE
            WHEN name !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,128}$' THEN 'name ' || to_json(left(name, 60))::text
                || ' must be 1 to 128 letters, digits and - _ . ! # $ % & '' * + ^ ` | ~'
            WHEN lowered ~ '^(webhook-|x-minoots-)' OR lowered IN ('traceparent', 'host', 'content-length',
                'transfer-encoding', 'connection', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'te',
                'trailer', 'upgrade', 'expect', 'http2-settings')
                THEN 'is set by MINOOTS or by HTTP itself and cannot be given'
            WHEN lowered = ANY (seen) THEN 'stands twice; upper and lower case are the same here'
            WHEN headers ->> name ~ control THEN 'must not contain line breaks or other control characters' END;
        IF problem IS NOT NULL THEN
            bad := minoots.note(bad, path || CASE WHEN problem LIKE 'name %' THEN '' ELSE '.' || name END, problem);
        END IF;
        seen := seen || lowered;
    END LOOP;
    RETURN bad;
END $$;

-- check_timer gives all that is wrong with a spec, an array of {path, message}.
CREATE FUNCTION minoots.check_timer(tenant text, spec jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    written CONSTANT text := spec::text;
    bad     jsonb := '[]';
BEGIN
    IF octet_length(written) > 262144 THEN
        RETURN minoots.note(bad, '', 'must be at most 262144 bytes');
    END IF;
    IF jsonb_path_exists(spec, 'strict $.**{64} ? (@.type() == "object" || @.type() == "array")')
        OR jsonb_path_exists(spec, 'strict $.** ? (@.type() == "number" && @.abs() >= 1.797693134862315808e308)') THEN
        RETURN minoots.check_limits(bad, spec, '', '', 0);
    END IF;
    IF jsonb_typeof(spec) <> 'object' THEN
        RETURN minoots.note(bad, '', minoots.shape_problem(spec, 'TimerSpec'));
    END IF;
    bad := minoots.check_record(bad, spec, '', 'TimerSpec');
    bad := minoots.check_when(bad, spec);
    bad := minoots.check_text(bad, minoots.text_of(spec -> 'name'), 'name', 256);
    bad := minoots.check_text(bad, minoots.text_of(spec -> 'requestedBy'), 'requestedBy', 256);
    IF minoots.text_of(spec -> 'tenantId') NOT IN ('', tenant) THEN
        bad := minoots.note(bad, 'tenantId', 'must be the tenant that the timer is scheduled for, or be left out');
    END IF;
    IF minoots.given(spec -> 'labels') THEN
        bad := minoots.check_labels(bad, spec -> 'labels');
    END IF;
    bad := minoots.check_range(bad, spec -> 'jitterMs', 'jitterMs', 0, 86400000, 'must be from 0 to 86400000 (a day)');
    IF minoots.given(spec -> 'misfire') THEN
        bad := minoots.check_misfire(bad, spec -> 'misfire');
    END IF;
    IF minoots.given(spec -> 'actionBundle') THEN
        bad := minoots.check_bundle(bad, spec -> 'actionBundle');
    END IF;
    IF minoots.given(spec -> 'agentBinding') THEN
        bad := minoots.check_agent_binding(bad, spec -> 'agentBinding');
    END IF;
    RETURN bad;
END $$;

-- without_zeros drops the fields that hold their type's zero, as Go does when it writes the row; keep
-- names one that is any JSON and stays.
CREATE FUNCTION minoots.without_zeros(object jsonb, keep text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(object) e
        WHERE e.key = keep OR e.value NOT IN ('null', '0'));
END $$;

-- bundle_of gives a bundle as minoots.Bundle.WithDefaults has it stored: every default written out.
CREATE FUNCTION minoots.bundle_of(bundle jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    policy  jsonb := '{"maxAttempts": 5, "backoffInitialMs": 1000, "backoffMultiplier": 2, "backoffMaxMs": 3600000}';
    actions jsonb := '[]';
    action  jsonb;
BEGIN
    IF minoots.given(bundle -> 'retryPolicy') THEN
        policy := policy || minoots.without_zeros(bundle -> 'retryPolicy', '');
    END IF;
    FOR i IN 0 .. jsonb_array_length(bundle -> 'actions') - 1 LOOP
        action := minoots.without_zeros(bundle -> 'actions' -> i, 'parameters');
        IF action ? 'retryPolicy' THEN
            action := jsonb_set(action, '{retryPolicy}', minoots.without_zeros(action -> 'retryPolicy', ''));
        END IF;
        actions := actions || action;
    END LOOP;
    RETURN jsonb_build_object('concurrency', coalesce(nullif(minoots.whole_of(bundle -> 'concurrency'), 0), 1),
        'retryPolicy', policy, 'actions', actions);
END $$;

-- agent_binding_of gives a binding as minoots.AgentBinding.WithDefaults has it stored.
CREATE FUNCTION minoots.agent_binding_of(binding jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN jsonb '{"acknowledgementTimeoutMs": 60000}' || minoots.without_zeros(binding, 'payloadTemplate');
END $$;

-- uuid7 makes a UUID of version 7 (RFC 9562): 48 bits of milliseconds, 12 bits of the fraction below,
-- and the last 64 bits of a random UUID, whose variant is the same.
CREATE FUNCTION minoots.uuid7() RETURNS uuid
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    micros CONSTANT bigint := extract(epoch FROM clock_timestamp()) * 1000000;
BEGIN
    RETURN lpad(to_hex(micros / 1000), 12, '0') || '7' || lpad(to_hex(micros % 1000 * 4096 / 1000), 3, '0')
        || right(replace(gen_random_uuid()::text, '-', ''), 16);
END $$;

-- schedule writes what timer_create.sql writes, in the caller's transaction. The kernels are told of
-- it at the caller's commit, and only if it is due soon: a transaction with a NOTIFY takes a lock of
-- the whole cluster when it commits, and a later timer is found by the kernels' next look ahead.
CREATE FUNCTION minoots.schedule(tenant text, spec jsonb) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    look_ahead  CONSTANT interval := interval '30 seconds'; -- db.LookAhead
    id          CONSTANT uuid := minoots.uuid7();
    bad         jsonb;
    duration_us bigint;
    jitter_us   bigint;
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
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'timer does not validate: ' || (
                SELECT string_agg(ltrim((b.problem ->> 'path') || ' ' || (b.problem ->> 'message')), '; ' ORDER BY b.n)
                FROM jsonb_array_elements(bad) WITH ORDINALITY b (problem, n)),
            DETAIL = bad::text,
            HINT = 'The detail lists every mistake as JSON. The fields are those of POST /v1/timers.';
    END IF;

    duration_us := ((minoots.parse_duration(spec -> 'duration')).nanos + 999) / 1000; -- up: never early
    fire_at := coalesce((minoots.parse_instant(spec -> 'fireAt')).instant, now() + duration_us * interval '1 microsecond');
    -- Where in its window a timer falls follows from its id, though by another hash than in Go.
    jitter_us := (uuid_hash_extended(id, 1) & 9223372036854775807) % nullif(minoots.whole_of(spec -> 'jitterMs') * 1000, 0);
    due_at := fire_at + coalesce(jitter_us, 0) * interval '1 microsecond';

    INSERT INTO minoots.timers (id, created_at, duration_us, jitter_ms, tenant_id, name, requested_by,
        labels, metadata, bundle, agent_binding, misfire)
    VALUES (id, now(), duration_us, coalesce(minoots.whole_of(spec -> 'jitterMs'), 0), tenant,
        coalesce(spec ->> 'name', ''), coalesce(spec ->> 'requestedBy', ''),
        nullif(minoots.object_of(spec -> 'labels'), '{}'), (spec -> 'metadata')::json,
        CASE WHEN minoots.given(spec -> 'actionBundle') THEN minoots.bundle_of(spec -> 'actionBundle')::json END,
        CASE WHEN minoots.given(spec -> 'agentBinding') THEN minoots.agent_binding_of(spec -> 'agentBinding')::json END,
        CASE WHEN minoots.given(spec -> 'misfire') THEN minoots.without_zeros(spec -> 'misfire', '')::json END);
    INSERT INTO minoots.timer_states (id, fire_at, due_at, updated_at, actions, tenant_id)
    VALUES (id, fire_at, due_at, now(), coalesce(jsonb_array_length(spec #> '{actionBundle,actions}'), 0), tenant);
    INSERT INTO minoots.events (timer_id, tenant_id, type) VALUES (id, tenant, 'timer.scheduled');
    IF due_at <= clock_timestamp() + look_ahead THEN
        PERFORM pg_notify('minoots_due', (extract(epoch FROM due_at) * 1000000)::bigint::text);
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION minoots.schedule IS
    'Schedules a timer for a tenant as POST /v1/timers does, in the caller''s transaction, and gives its id. docs/sql.md';

-- cancel does what timer_cancel.sql does, in the caller's transaction. The lock is what a claim's SKIP
-- LOCKED steps over: of cancel and fire, exactly one wins, and the other sees it.
CREATE FUNCTION minoots.cancel(tenant text, id uuid, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was text;
BEGIN
    IF length(reason) > 256 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'reason must be at most 256 characters';
    END IF;
    SELECT s.status INTO was FROM minoots.timer_states s
    WHERE s.id = cancel.id AND s.tenant_id = cancel.tenant
    FOR UPDATE;
    IF was IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = 'no timer with this id',
            HINT = 'The tenant has none with it, or had one that was over and has been removed.';
    ELSIF was IN ('settled', 'failed', 'cancelled') THEN
        RETURN false;
    ELSIF was NOT IN ('scheduled', 'paused') THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the timer has fired and its actions are running; it can no longer be cancelled';
    END IF;
    UPDATE minoots.timer_states s
    SET status = 'cancelled', due_at = NULL, cancelled_at = now(), updated_at = now(),
        cancel_reason = cancel.reason, version = s.version + 1
    WHERE s.id = cancel.id AND s.tenant_id = cancel.tenant;
    INSERT INTO minoots.events (timer_id, tenant_id, type) VALUES (cancel.id, cancel.tenant, 'timer.cancelled');
    RETURN true;
END $$;
COMMENT ON FUNCTION minoots.cancel IS
    'Cancels a timer of the tenant''s in the caller''s transaction. true: now; false: it was over already. docs/sql.md';
-- +goose StatementEnd

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA minoots FROM PUBLIC;

-- +goose StatementBegin
-- A role belongs to the whole server, so another database of it may have made it already, or be
-- making it now; and a user without CREATEROLE can still install the rest.
DO $$
BEGIN
    CREATE ROLE minoots_scheduling NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN RAISE NOTICE 'role minoots_scheduling not made: no CREATEROLE';
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'minoots_scheduling') THEN
        GRANT USAGE ON SCHEMA minoots TO minoots_scheduling;
        GRANT EXECUTE ON FUNCTION minoots.schedule, minoots.cancel TO minoots_scheduling;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION minoots.cancel, minoots.schedule, minoots.uuid7, minoots.agent_binding_of, minoots.bundle_of,
    minoots.without_zeros, minoots.check_timer, minoots.check_headers, minoots.looks_numeric, minoots.is_ipv6, minoots.is_host,
    minoots.url_problem, minoots.check_webhook, minoots.check_action, minoots.check_bundle,
    minoots.check_agent_binding, minoots.check_retry_policy, minoots.check_misfire, minoots.check_labels,
    minoots.check_recurrence, minoots.check_when, minoots.parse_instant, minoots.parse_duration,
    minoots.parse_duration_iso, minoots.parse_duration_units, minoots.parse_number, minoots.check_range,
    minoots.check_text, minoots.check_table, minoots.check_actions, minoots.check_record, minoots.shape_problem,
    minoots.check_limits, minoots.below, minoots.note, minoots.whole_of, minoots.list_of, minoots.object_of,
    minoots.text_of, minoots.given, minoots.spec_fields;
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'minoots_scheduling') THEN
        REVOKE USAGE ON SCHEMA minoots FROM minoots_scheduling;
    END IF;
END $$;
-- +goose StatementEnd
