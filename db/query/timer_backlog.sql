-- How many timers are due and unclaimed, counted to a bound, and the oldest of them.
SELECT count(*), min(due_at)
FROM (SELECT due_at FROM minoots.timer_states WHERE due_at <= now() ORDER BY due_at LIMIT $1) AS due;
