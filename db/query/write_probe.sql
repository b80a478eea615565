-- Finds out whether Postgres takes writes and has room for a mebibyte of them, and leaves nothing
-- behind. In a table of ours, rows that are rolled back would take what little room there is.
CREATE TEMPORARY TABLE minoots_write_probe ON COMMIT DROP AS
SELECT repeat('.', 1000) AS room FROM generate_series(1, 1000);
