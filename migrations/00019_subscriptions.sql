-- Webhook subscriptions: a tenant's events, by topic, to a URL.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- after is the cursor of the log at which the subscription was made: what it had seen by then does not
-- concern it. resuming says that deliveries which waited while it was paused are still to be sent.
CREATE TABLE minoots.subscriptions (
    id            uuid PRIMARY KEY,
    timer_id      uuid, -- only events of this timer
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    paused_at     timestamptz,
    version       integer NOT NULL DEFAULT 1,
    resuming      boolean NOT NULL DEFAULT false,
    tenant_id     text NOT NULL REFERENCES minoots.tenants (id),
    status        text NOT NULL DEFAULT 'active',
    name          text NOT NULL,
    url           text NOT NULL,
    paused_reason text,
    after         text NOT NULL,
    topics        text[] NOT NULL,
    headers       jsonb NOT NULL, -- may hold secrets
    retry_policy  jsonb NOT NULL,
    CONSTRAINT subscriptions_status CHECK (status IN ('active', 'paused'))
);
CREATE INDEX subscriptions_tenant ON minoots.subscriptions (tenant_id, id);
CREATE INDEX subscriptions_resuming ON minoots.subscriptions (id) WHERE resuming;

-- One event for one subscription: the delivery log. Its id is the webhook-id of all attempts, and as a
-- UUIDv7 its age. A delivery that is waiting has a River job of the kind subscription; no other has.
-- base is how many attempts had been made when it was last delivered anew.
CREATE TABLE minoots.subscription_deliveries (
    id              uuid PRIMARY KEY,
    subscription_id uuid NOT NULL,
    timer_id        uuid NOT NULL,
    seq             bigint NOT NULL, -- of the event
    created_at      timestamptz NOT NULL DEFAULT now(),
    ended_at        timestamptz,
    http_status     integer,
    attempts        smallint NOT NULL DEFAULT 0,
    base            smallint NOT NULL DEFAULT 0,
    status          text NOT NULL,
    type            text NOT NULL,
    error_class     text,
    error           text,
    response        text,
    event           jsonb NOT NULL, -- as it is sent
    CONSTRAINT subscription_deliveries_status CHECK (status IN ('waiting', 'paused', 'delivered', 'failed', 'dropped'))
);
CREATE UNIQUE INDEX subscription_deliveries_event ON minoots.subscription_deliveries (subscription_id, seq);
CREATE INDEX subscription_deliveries_page ON minoots.subscription_deliveries (subscription_id, id);
CREATE INDEX subscription_deliveries_paused ON minoots.subscription_deliveries (subscription_id, id) WHERE status = 'paused';

-- +goose Down
DELETE FROM river.river_job WHERE kind = 'subscription';
DELETE FROM minoots.event_readers WHERE name = 'subscriptions';
DROP TABLE minoots.subscription_deliveries;
DROP TABLE minoots.subscriptions;
