-- Notes how far a reader has come, and keeps it. $5 is how many events that was, $6 whether it has all there is.
-- Changes nothing if another has taken it over: then what was done will be done again.
UPDATE minoots.event_readers
SET cursor = $4, events = events + $5, lease_until = clock_timestamp() + $3::float8 * interval '1 second',
    level_at = CASE WHEN $6::boolean THEN clock_timestamp() ELSE level_at END
WHERE name = $1 AND holder = $2 AND lease_until > clock_timestamp();
