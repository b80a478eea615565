-- Gives a reader of the log back, so that another replica takes it at once.
UPDATE minoots.event_readers SET lease_until = clock_timestamp() WHERE name = $1 AND holder = $2;
