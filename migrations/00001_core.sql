-- The tables of MINOOTS. Written so that the hot path touches narrow rows and few indexes:
-- docs/adr/0003-two-rows-a-timer.md has the figures.

-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE minoots.tenants (
    id         text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name       text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A key is 256 random bits, so an unsalted SHA-256 of it cannot be searched for.
CREATE TABLE minoots.api_keys (
    id         uuid PRIMARY KEY,
    tenant_id  text NOT NULL REFERENCES minoots.tenants (id),
    name       text NOT NULL DEFAULT '',
    prefix     text NOT NULL,
    hash       bytea NOT NULL UNIQUE,
    roles      text[] NOT NULL CHECK (cardinality(roles) > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX api_keys_tenant ON minoots.api_keys (tenant_id, id);

CREATE TABLE minoots.signing_secrets (
    id         uuid PRIMARY KEY,
    tenant_id  text NOT NULL REFERENCES minoots.tenants (id),
    secret     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz -- set by a rotation; until then the old secret signs too
);
CREATE INDEX signing_secrets_tenant ON minoots.signing_secrets (tenant_id, id);
CREATE UNIQUE INDEX signing_secrets_current ON minoots.signing_secrets (tenant_id) WHERE expires_at IS NULL;

-- What the caller asked for. Written once. No foreign key to tenants: the tenant comes from the
-- credential, and a check of it for every row would lock the tenant's row in every create.
-- json, not jsonb, for what is only handed on: it comes back as it was sent.
CREATE TABLE minoots.timers (
    id            uuid PRIMARY KEY,
    created_at    timestamptz NOT NULL,
    duration_us   bigint,
    jitter_ms     integer NOT NULL DEFAULT 0,
    tenant_id     text NOT NULL,
    name          text NOT NULL DEFAULT '',
    requested_by  text NOT NULL DEFAULT '',
    labels        jsonb,
    metadata      json,
    bundle        json,
    agent_binding json,
    recurrence    json,
    misfire       json
);
-- The filters of GET /v1/timers. Partial, so that a timer without a name or labels pays for neither.
CREATE INDEX timers_name ON minoots.timers (tenant_id, name) WHERE name <> '';
CREATE INDEX timers_requested_by ON minoots.timers (tenant_id, requested_by) WHERE requested_by <> '';
CREATE INDEX timers_labels ON minoots.timers USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL;

-- Where it stands. Narrow, and the only row of a timer that firing and settling update.
--
-- due_at is when a kernel may claim the row, and NULL when there is nothing to claim; the index of
-- claims is partial on it. It stands apart from fire_at, which callers see and which stays, so that
-- status is in no index: the step from fired to settled is then a heap-only update.
CREATE TABLE minoots.timer_states (
    id             uuid PRIMARY KEY,
    version        bigint NOT NULL DEFAULT 1,
    fire_at        timestamptz NOT NULL,
    due_at         timestamptz,
    updated_at     timestamptz NOT NULL,
    fired_at       timestamptz,
    settled_at     timestamptz,
    cancelled_at   timestamptz,
    occurrence     integer NOT NULL DEFAULT 0,
    actions        smallint NOT NULL DEFAULT 0,
    recurring      boolean NOT NULL DEFAULT false,
    status         text NOT NULL DEFAULT 'scheduled',
    tenant_id      text NOT NULL,
    cancel_reason  text,
    cancelled_by   text,
    failure_reason text,
    CONSTRAINT timer_states_status CHECK (status IN
        ('scheduled', 'paused', 'fired', 'settled', 'failed', 'cancelled')),
    CONSTRAINT timer_states_due CHECK ((status = 'scheduled') = (due_at IS NOT NULL))
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX timer_states_due ON minoots.timer_states (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX timer_states_tenant ON minoots.timer_states (tenant_id, fire_at, id);

CREATE TABLE minoots.idempotency_keys (
    tenant_id   text NOT NULL,
    key         text NOT NULL,
    timer_id    uuid NOT NULL,
    fingerprint bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_keys_created ON minoots.idempotency_keys (created_at);

-- History, partitioned by week and dropped by the partition. A firing is known by its timer and its
-- occurrence; due_at is in the key because a partition key must be.
CREATE TABLE minoots.firings (
    timer_id   uuid NOT NULL,
    due_at     timestamptz NOT NULL,
    fired_at   timestamptz NOT NULL,
    settled_at timestamptz,
    occurrence integer NOT NULL,
    actions    smallint NOT NULL, -- in the bundle
    started    smallint NOT NULL, -- of them, dispatched
    ended      smallint NOT NULL DEFAULT 0,
    failed     smallint NOT NULL DEFAULT 0,
    tenant_id  text NOT NULL,
    status     text NOT NULL,
    reason     text,
    bundle     json, -- as it was at the fire, kept only where a later action needs it
    PRIMARY KEY (timer_id, occurrence, due_at),
    CONSTRAINT firings_status CHECK (status IN
        ('running', 'settled', 'failed', 'cancelled', 'skipped'))
) PARTITION BY RANGE (due_at);
CREATE TABLE minoots.firings_default PARTITION OF minoots.firings DEFAULT;

CREATE TABLE minoots.attempts (
    timer_id    uuid NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    occurrence  integer NOT NULL,
    http_status integer,
    attempt     smallint NOT NULL,
    tenant_id   text NOT NULL,
    action_id   text NOT NULL,
    kind        text NOT NULL,
    status      text NOT NULL,
    replica     text NOT NULL,
    error_class text,
    error       text,
    response    text,
    PRIMARY KEY (timer_id, occurrence, action_id, attempt, finished_at),
    CONSTRAINT attempts_status CHECK (status IN ('succeeded', 'retrying', 'failed'))
) PARTITION BY RANGE (finished_at);
CREATE TABLE minoots.attempts_default PARTITION OF minoots.attempts DEFAULT;

-- The append-only log. (xid, seq) is the order in which a reader that stays below the oldest
-- transaction in flight never skips a row.
CREATE TABLE minoots.events (
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    timer_id    uuid NOT NULL,
    occurrence  integer NOT NULL DEFAULT 0,
    tenant_id   text NOT NULL,
    type        text NOT NULL,
    data        json,
    PRIMARY KEY (xid, seq, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE TABLE minoots.events_default PARTITION OF minoots.events DEFAULT;

-- +goose StatementBegin
-- ensure_partitions makes the weekly partitions of the history tables from the week of "at" to that
-- many weeks on, and gives the number made. Any number of replicas may call it at once.
--
-- A firing is updated once, soon after it is written: the free space lets that stay on its page.
--
-- A week that cannot be made is left out with a warning: a row of it stands in the default partition,
-- which goes on taking them, or somebody's long query holds the table.
CREATE FUNCTION minoots.ensure_partitions(at timestamptz, weeks integer) RETURNS integer
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    parent text;
    monday timestamptz;
    child  text;
    made   integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7700, 1);
    FOREACH parent IN ARRAY ARRAY['firings', 'attempts', 'events'] LOOP
        FOR i IN 0..weeks LOOP
            monday := date_trunc('week', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + i * interval '7 days';
            child := parent || to_char(monday AT TIME ZONE 'UTC', '_YYYYMMDD');
            IF to_regclass('minoots.' || child) IS NULL THEN
                BEGIN
                    EXECUTE format('CREATE TABLE minoots.%I PARTITION OF minoots.%I FOR VALUES FROM (%L) TO (%L)
                        WITH (fillfactor = %s)', child, parent, monday, monday + interval '7 days',
                        CASE parent WHEN 'firings' THEN 60 ELSE 100 END);
                    made := made + 1;
                EXCEPTION WHEN check_violation OR lock_not_available THEN
                    RAISE WARNING 'partition % not made: %', child, SQLERRM;
                END;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
-- +goose StatementEnd
-- now() - a week: firings that are late when the service is first started
SELECT minoots.ensure_partitions(now() - interval '7 days', 5);

-- +goose Down
DROP FUNCTION minoots.ensure_partitions;
DROP TABLE minoots.events, minoots.attempts, minoots.firings, minoots.idempotency_keys,
    minoots.timer_states, minoots.timers, minoots.signing_secrets, minoots.api_keys, minoots.tenants;
