-- Indexes that lists, usage and changes of many timers go by: one for each status, the tenant first in
-- all of them. docs/adr/0024-finding.md has the reasons and the figures.
--
-- Built beside running replicas. The old indexes go last: a replica of the version before lists slowly
-- from then until it is replaced.

-- +goose NO TRANSACTION
-- +goose Up

-- A timer is in one of the first two, by columns that a settlement leaves alone: so fired to settled
-- remains a heap-only update, and a create or a claim writes as many entries as it did into the one
-- index that these two replace. The other three are of what is seldom.
DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_waiting;
CREATE INDEX CONCURRENTLY timer_states_waiting ON minoots.timer_states (tenant_id, fire_at, id) WHERE due_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_rest;
CREATE INDEX CONCURRENTLY timer_states_rest ON minoots.timer_states (tenant_id, fire_at, id) WHERE due_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_paused;
CREATE INDEX CONCURRENTLY timer_states_paused ON minoots.timer_states (tenant_id, fire_at, id) WHERE held_due_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_failed;
CREATE INDEX CONCURRENTLY timer_states_failed ON minoots.timer_states (tenant_id, fire_at, id) WHERE failure_reason IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_cancelled;
CREATE INDEX CONCURRENTLY timer_states_cancelled ON minoots.timer_states (tenant_id, fire_at, id) WHERE cancelled_at IS NOT NULL;

-- text_pattern_ops finds a prefix in any collation, and a whole name as well.
DROP INDEX CONCURRENTLY IF EXISTS minoots.timers_name_prefix;
CREATE INDEX CONCURRENTLY timers_name_prefix ON minoots.timers (tenant_id, name text_pattern_ops) WHERE name <> '';

-- jsonb_path_ops hashes the whole path to a value. With the tenant as the first step of it, a label that
-- all tenants have costs each only its own timers.
DROP INDEX CONCURRENTLY IF EXISTS minoots.timers_tenant_labels;
CREATE INDEX CONCURRENTLY timers_tenant_labels ON minoots.timers
    USING gin (jsonb_set('{}', ARRAY[tenant_id], labels) jsonb_path_ops) WHERE labels IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_tenant;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timers_name;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timers_labels;

-- +goose Down
CREATE INDEX CONCURRENTLY IF NOT EXISTS timer_states_tenant ON minoots.timer_states (tenant_id, fire_at, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS timers_name ON minoots.timers (tenant_id, name) WHERE name <> '';
CREATE INDEX CONCURRENTLY IF NOT EXISTS timers_labels ON minoots.timers USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timers_tenant_labels;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timers_name_prefix;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_cancelled;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_failed;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_paused;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_rest;
DROP INDEX CONCURRENTLY IF EXISTS minoots.timer_states_waiting;
