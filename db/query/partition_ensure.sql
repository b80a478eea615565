-- Makes the weekly partitions of the history tables that are missing.
SELECT minoots.ensure_partitions(now(), $1::integer);
