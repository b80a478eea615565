-- States of nothing: what the timer was asked to do is gone.
WITH looked AS (
    SELECT id, status FROM minoots.timer_states WHERE id >= minoots.first_id($1)
),
bad AS (
    SELECT id || ' ' || status AS what FROM looked s
    WHERE NOT EXISTS (SELECT FROM minoots.timers t WHERE t.id = s.id)
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
