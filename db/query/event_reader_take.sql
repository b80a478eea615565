-- Takes a reader of the log for $2, for $3 seconds, if nobody else has it, or keeps it. Gives where it is to go
-- on; no row if another has it.
INSERT INTO minoots.event_readers AS r (name, holder, lease_until)
VALUES ($1, $2, clock_timestamp() + $3::float8 * interval '1 second')
ON CONFLICT (name) DO UPDATE SET holder = $2, lease_until = clock_timestamp() + $3::float8 * interval '1 second'
WHERE r.holder = $2 OR r.lease_until < clock_timestamp()
RETURNING coalesce(cursor, '');
