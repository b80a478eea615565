-- The newest applied migration.
SELECT coalesce(max(version_id), 0) FROM minoots.schema_versions WHERE is_applied;
