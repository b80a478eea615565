-- Writes a batch of timers, their states, their events and their idempotency keys: all or nothing,
-- one round trip.
--
-- A timer whose key is taken is not written: ON CONFLICT DO NOTHING waits for a concurrent writer of
-- the same key to commit or roll back, so that of any number of them one creates. Keys are inserted
-- in order, so that two batches with the same keys cannot deadlock.
--
-- A duration counts from this transaction's now(): the database's clock, not a replica's. The first
-- instant of a recurrence comes computed ("at"), with the anchor from which it counts.
WITH given AS MATERIALIZED (
    SELECT id, tenant_id, name, requested_by, duration_us, jitter_ms, jitter_us, labels, metadata, bundle,
        agent_binding, misfire, actions, key, fingerprint, recurrence, anchor, may_skip, ord,
        coalesce(at, now() + duration_us * interval '1 microsecond') AS fire_at
    FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::integer[],
        $8::bigint[], $9::jsonb[], $10::json[], $11::json[], $12::json[], $13::json[], $14::smallint[],
        $15::text[], $16::bytea[], $17::json[], $18::timestamptz[], $19::boolean[]
    ) WITH ORDINALITY AS g (
        id, tenant_id, name, requested_by, duration_us, at, jitter_ms,
        jitter_us, labels, metadata, bundle, agent_binding, misfire, actions,
        key, fingerprint, recurrence, anchor, may_skip, ord
    )
),
keys AS (
    INSERT INTO minoots.idempotency_keys (tenant_id, key, timer_id, fingerprint, created_at)
    SELECT tenant_id, key, id, fingerprint, now() FROM given WHERE key IS NOT NULL ORDER BY tenant_id, key
    ON CONFLICT DO NOTHING
    RETURNING timer_id
),
fresh AS (
    SELECT id, tenant_id, name, requested_by, duration_us, jitter_ms, jitter_us, labels, metadata, bundle,
        agent_binding, misfire, actions, recurrence, anchor, may_skip, ord, fire_at
    FROM given
    WHERE key IS NULL OR id IN (SELECT timer_id FROM keys)
),
definitions AS (
    INSERT INTO minoots.timers (id, created_at, duration_us, jitter_ms, tenant_id, name, requested_by,
        labels, metadata, bundle, agent_binding, misfire, recurrence, anchor)
    SELECT id, now(), duration_us, jitter_ms, tenant_id, name, requested_by,
        labels, metadata, bundle, agent_binding, misfire, recurrence, anchor
    FROM fresh
),
states AS (
    INSERT INTO minoots.timer_states (id, fire_at, due_at, updated_at, actions, recurring, tenant_id, may_skip)
    SELECT id, fire_at, fire_at + jitter_us * interval '1 microsecond', now(), actions, recurrence IS NOT NULL, tenant_id, may_skip
    FROM fresh
    RETURNING id
),
logged AS (
    INSERT INTO minoots.events (timer_id, tenant_id, type)
    SELECT id, tenant_id, 'timer.scheduled' FROM fresh ORDER BY ord
)
SELECT given.fire_at, given.fire_at + given.jitter_us * interval '1 microsecond' AS due_at,
    now() AS created_at, states.id IS NOT NULL AS created, clock_timestamp() AS clock
FROM given LEFT JOIN states USING (id)
ORDER BY given.ord;
