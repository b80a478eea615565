-- How much of the disk each table takes, the partitions of one together, the largest first.
SELECT n.nspname || '.' || coalesce(parent.relname, c.relname) AS table_name, count(i.inhrelid)::integer AS partitions,
    sum(greatest(c.reltuples, 0))::bigint AS rows, sum(coalesce(pg_stat_get_dead_tuples(c.oid), 0))::bigint AS dead,
    sum(pg_table_size(c.oid))::bigint AS table_bytes, sum(pg_indexes_size(c.oid))::bigint AS index_bytes
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
LEFT JOIN pg_class parent ON parent.oid = i.inhparent
WHERE n.nspname IN ('minoots', 'river') AND c.relkind = 'r'
GROUP BY 1
ORDER BY sum(pg_total_relation_size(c.oid)) DESC, 1;
