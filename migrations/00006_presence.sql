-- Who is working, and whether it still lives: docs/adr/0012-presence.md.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- One row a process that runs actions, made before it starts the first. It lives while its session holds
-- the advisory lock (7701, slot), or, without a direct connection, until lease_until. Slots are never used
-- twice, so a lock that is free means a process that is gone. lost_at is set once and for good: a process
-- that comes back takes a new name.
CREATE TABLE minoots.replicas (
    replica     text PRIMARY KEY,
    slot        integer GENERATED ALWAYS AS IDENTITY,
    started_at  timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    lost_at     timestamptz,
    mode        text NOT NULL,
    CONSTRAINT replicas_mode CHECK (mode IN ('lock', 'lease')),
    CONSTRAINT replicas_lease CHECK ((mode = 'lease') = (lease_until IS NOT NULL))
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE minoots.replicas;
