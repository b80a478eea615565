-- Events of no timer and no firing, so late ($3 seconds) that retention cannot have removed them: a timer
-- that was acknowledged and is lost shows here, by the event of its making.
WITH looked AS (
    SELECT timer_id, type FROM minoots.events
    WHERE occurred_at >= greatest($1, now() - $3::float8 * interval '1 second')
),
bad AS (
    SELECT timer_id || ' ' || min(type) AS what FROM looked l
    WHERE NOT EXISTS (SELECT FROM minoots.timers t WHERE t.id = l.timer_id)
        AND NOT EXISTS (SELECT FROM minoots.timer_states s WHERE s.id = l.timer_id)
        AND NOT EXISTS (SELECT FROM minoots.firings f WHERE f.timer_id = l.timer_id)
    GROUP BY timer_id
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
