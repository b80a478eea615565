-- River's two GIN indexes and the one on kind serve searches that MINOOTS never makes, and cost
-- every job: docs/adr/0005-river-indexes.md has the measurement.

-- +goose Up
SET LOCAL lock_timeout = '5s';
DROP INDEX IF EXISTS river.river_job_args_index;
DROP INDEX IF EXISTS river.river_job_metadata_index;
DROP INDEX IF EXISTS river.river_job_kind;
ALTER TABLE river.river_job SET (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0.02
);

-- +goose Down
CREATE INDEX IF NOT EXISTS river_job_kind ON river.river_job (kind);
CREATE INDEX IF NOT EXISTS river_job_args_index ON river.river_job USING gin (args);
CREATE INDEX IF NOT EXISTS river_job_metadata_index ON river.river_job USING gin (metadata);
ALTER TABLE river.river_job RESET (
    fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_delay, autovacuum_vacuum_insert_scale_factor
);
