-- How many timers of a tenant wait for the second that begins at $2, counted to a bound. Those with a
-- jitter are counted where that puts them, if their own time is in the same second.
SELECT count(*) FROM (
    SELECT FROM minoots.timer_states
    WHERE tenant_id = $1 AND fire_at >= $2 AND fire_at < $2 + interval '1 second' AND due_at < $2 + interval '1 second'
    LIMIT $3
) AS crowd;
