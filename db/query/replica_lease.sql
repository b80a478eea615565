-- Registers a process by a lease of $2 seconds, where a session keeps no lock.
INSERT INTO minoots.replicas (replica, mode, lease_until)
VALUES ($1, 'lease', clock_timestamp() + $2::float8 * interval '1 second');
