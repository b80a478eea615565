-- The first timer waiting at or after the low-water mark, due or not, and the database's clock: what a
-- kernel asks when it polls.
SELECT clock_timestamp(), (
    SELECT due_at FROM minoots.timer_states WHERE due_at >= $1 ORDER BY due_at LIMIT 1
);
