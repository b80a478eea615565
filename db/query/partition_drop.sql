-- Drops the first weekly partition of history after one, by name, that is older than so many seconds.
SELECT partition, outcome FROM minoots.drop_partition(now() - $1::float8 * interval '1 second', $2);
