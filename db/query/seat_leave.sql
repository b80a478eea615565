-- Gives a seat up for a lower one.
SELECT pg_advisory_unlock(7702, $1::integer);
