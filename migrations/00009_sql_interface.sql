-- minoots.schedule follows the API in what a bundle may hold: onFailure, compensation, escalation, and
-- agent_prompt only with an agentBinding; and in misfire.maxLatenessMs. 00005_sql_interface.sql says how
-- the checks work, and which names they may use.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- +goose StatementBegin
-- spec_fields lists the fields of minoots.TimerSpec and of the records in it, and what they hold.
CREATE OR REPLACE FUNCTION minoots.spec_fields(record text) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE record
WHEN 'TimerSpec' THEN '{name text, requestedBy text, tenantId text, duration duration, fireAt instant,
    recurrence Recurrence, labels table, metadata any, actionBundle Bundle, agentBinding AgentBinding,
    misfire Misfire, jitterMs whole}'::text[]
WHEN 'Recurrence' THEN '{cron text, every duration, timeZone text, dst DSTPolicy, startAt instant, endAt instant,
    maxOccurrences whole}'
WHEN 'DSTPolicy' THEN '{gap text, overlap text}'
WHEN 'Bundle' THEN '{concurrency whole, retryPolicy RetryPolicy, actions actions!, onFailure text, compensation actions}'
WHEN 'RetryPolicy' THEN '{maxAttempts whole, backoffInitialMs whole, backoffMultiplier number, backoffMaxMs whole}'
WHEN 'Action' THEN '{id text!, kind text!, parameters any, retryPolicy RetryPolicy, escalation Escalation}'
WHEN 'Escalation' THEN '{afterAttempts whole!, escalatesTo Action!}'
WHEN 'AgentBinding' THEN '{adapter text!, target text!, payloadTemplate any, acknowledgementTimeoutMs whole}'
WHEN 'Misfire' THEN '{policy text!, graceMs whole, maxLatenessMs whole}'
END $$;

-- check_misfire knows the policies of the contract.
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

DROP FUNCTION minoots.check_bundle, minoots.check_action;

-- check_bundle checks the bundle's own fields and each of its actions. agent says if the timer has a
-- binding.
CREATE FUNCTION minoots.check_bundle(bad jsonb, bundle jsonb, agent boolean) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    found record;
BEGIN
    bad := minoots.check_range(bad, bundle -> 'concurrency', 'actionBundle.concurrency', 0, 100, 'must be from 1 to 100');
    IF minoots.text_of(bundle -> 'onFailure') NOT IN ('', 'continue', 'stop') THEN
        bad := minoots.note(bad, 'actionBundle.onFailure', 'must be continue or stop');
    END IF;
    IF minoots.given(bundle -> 'retryPolicy') THEN
        bad := minoots.check_retry_policy(bad, bundle -> 'retryPolicy', 'actionBundle.retryPolicy');
    END IF;
    found := minoots.check_list(bad, '{}', minoots.list_of(bundle -> 'actions'), 'actionBundle.actions', agent);
    found := minoots.check_list(found.bad, found.seen, minoots.list_of(bundle -> 'compensation'),
        'actionBundle.compensation', agent);
    RETURN found.bad;
END $$;

-- check_list checks a list of actions. seen are the ids of those before them in the bundle, which no
-- other may have: they are part of webhook-id.
CREATE FUNCTION minoots.check_list(INOUT bad jsonb, INOUT seen text[], actions jsonb, path text, agent boolean)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    number CONSTANT integer := coalesce(jsonb_array_length(actions), 0);
    found  record;
BEGIN
    IF number > 100 THEN
        RETURN; -- shape_problem has told
    END IF;
    FOR i IN 0 .. number - 1 LOOP
        found := minoots.check_action(bad, seen, actions -> i, path || '[' || i || ']', agent, 0);
        bad := found.bad;
        seen := found.seen;
    END LOOP;
END $$;

-- check_action checks one action, and what it escalates to. The kinds that can be had are those with an
-- executor in workers/action.NewRegistry.
CREATE FUNCTION minoots.check_action(INOUT bad jsonb, INOUT seen text[], action jsonb, path text, agent boolean, depth integer)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    id         CONSTANT text := minoots.text_of(action -> 'id');
    kind       CONSTANT text := minoots.text_of(action -> 'kind');
    escalation CONSTANT jsonb := minoots.object_of(action -> 'escalation');
    found      record;
BEGIN
    IF id !~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$' THEN
        bad := minoots.note(bad, path || '.id', 'must be 1 to 64 of letters, digits, and _ . : - after the first');
    ELSIF id = ANY (seen) THEN
        bad := minoots.note(bad, path || '.id', to_json(id)::text || ' stands twice in the bundle; ids must differ');
    END IF;
    seen := seen || id;
    IF minoots.given(action -> 'retryPolicy') THEN
        bad := minoots.check_retry_policy(bad, action -> 'retryPolicy', path || '.retryPolicy');
    END IF;
    IF kind = 'webhook' THEN
        bad := minoots.check_webhook(bad, action -> 'parameters', path || '.parameters');
    ELSIF kind = 'agent_prompt' AND NOT agent THEN
        bad := minoots.note(bad, path || '.kind', 'agent_prompt needs an agentBinding, which says which agent to wake');
    ELSIF kind IN ('agent_prompt', 'workflow_event', 'command') THEN
        bad := minoots.note(bad, path || '.kind', to_json(kind)::text || ' actions are not available in this version');
    ELSIF kind IS NOT NULL THEN
        bad := minoots.note(bad, path || '.kind', 'must be one of [webhook agent_prompt workflow_event command]');
    END IF;
    IF escalation IS NULL THEN
        RETURN;
    END IF;
    path := path || '.escalation';
    bad := minoots.check_range(bad, escalation -> 'afterAttempts', path || '.afterAttempts', 1, 100, 'must be from 1 to 100');
    IF depth >= 5 THEN
        bad := minoots.note(bad, path, 'must not be nested more than 5 deep');
    ELSE
        found := minoots.check_action(bad, seen, escalation -> 'escalatesTo', path || '.escalatesTo', agent, depth + 1);
        bad := found.bad;
        seen := found.seen;
    END IF;
END $$;

-- check_timer gives all that is wrong with a spec, an array of {path, message}.
CREATE OR REPLACE FUNCTION minoots.check_timer(tenant text, spec jsonb) RETURNS jsonb
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
        bad := minoots.check_bundle(bad, spec -> 'actionBundle', minoots.given(spec -> 'agentBinding'));
    END IF;
    IF minoots.given(spec -> 'agentBinding') THEN
        bad := minoots.check_agent_binding(bad, spec -> 'agentBinding');
    END IF;
    RETURN bad;
END $$;

-- bundle_of gives a bundle as minoots.Bundle.WithDefaults has it stored: its defaults written out.
CREATE OR REPLACE FUNCTION minoots.bundle_of(bundle jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    policy jsonb := '{"maxAttempts": 5, "backoffInitialMs": 1000, "backoffMultiplier": 2, "backoffMaxMs": 3600000}';
    stored jsonb;
BEGIN
    IF minoots.given(bundle -> 'retryPolicy') THEN
        policy := policy || minoots.without_zeros(bundle -> 'retryPolicy', '');
    END IF;
    stored := jsonb_build_object('concurrency', coalesce(nullif(minoots.whole_of(bundle -> 'concurrency'), 0), 1),
        'retryPolicy', policy, 'actions', minoots.actions_of(bundle -> 'actions'));
    IF minoots.text_of(bundle -> 'onFailure') <> '' THEN
        stored := stored || jsonb_build_object('onFailure', bundle -> 'onFailure');
    END IF;
    IF jsonb_array_length(minoots.list_of(bundle -> 'compensation')) > 0 THEN
        stored := stored || jsonb_build_object('compensation', minoots.actions_of(bundle -> 'compensation'));
    END IF;
    RETURN stored;
END $$;

-- actions_of gives a list of actions as it is stored.
CREATE FUNCTION minoots.actions_of(actions jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    stored jsonb := '[]';
BEGIN
    FOR i IN 0 .. jsonb_array_length(actions) - 1 LOOP
        stored := stored || minoots.action_of(actions -> i);
    END LOOP;
    RETURN stored;
END $$;

-- action_of gives an action as it is stored, and what it escalates to.
CREATE FUNCTION minoots.action_of(action jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    stored jsonb := minoots.without_zeros(action, 'parameters');
BEGIN
    IF stored ? 'retryPolicy' THEN
        stored := jsonb_set(stored, '{retryPolicy}', minoots.without_zeros(stored -> 'retryPolicy', ''));
    END IF;
    IF stored ? 'escalation' THEN
        stored := jsonb_set(stored, '{escalation,escalatesTo}', minoots.action_of(stored #> '{escalation,escalatesTo}'));
    END IF;
    RETURN stored;
END $$;
-- +goose StatementEnd

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA minoots FROM PUBLIC;

-- +goose Down
SET LOCAL lock_timeout = '5s';

-- +goose StatementBegin
-- As in 00005_sql_interface.sql.
DROP FUNCTION minoots.action_of, minoots.actions_of, minoots.check_bundle, minoots.check_list, minoots.check_action;

CREATE OR REPLACE FUNCTION minoots.spec_fields(record text) RETURNS text[]
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

CREATE OR REPLACE FUNCTION minoots.check_misfire(bad jsonb, misfire jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF minoots.text_of(misfire -> 'policy') NOT IN ('fire_once', 'fire_all', 'skip') THEN
        bad := minoots.note(bad, 'misfire.policy', 'must be fire_once, fire_all or skip');
    END IF;
    RETURN minoots.check_range(bad, misfire -> 'graceMs', 'misfire.graceMs', 0, 31536000000, 'must be from 0 to a year');
END $$;

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

CREATE OR REPLACE FUNCTION minoots.check_timer(tenant text, spec jsonb) RETURNS jsonb
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

CREATE OR REPLACE FUNCTION minoots.bundle_of(bundle jsonb) RETURNS jsonb
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
-- +goose StatementEnd

REVOKE ALL ON FUNCTION minoots.check_bundle, minoots.check_action FROM PUBLIC;
