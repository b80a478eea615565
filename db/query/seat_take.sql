-- The lowest free seat below the present one, taken. LIMIT stops at the first that could be locked.
SELECT seat FROM generate_series(0, $1::integer - 1) AS seat WHERE pg_try_advisory_lock(7702, seat) LIMIT 1;
