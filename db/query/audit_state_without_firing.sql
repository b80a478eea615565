-- Timers that say they fired and have no such firing, or have one that they know nothing of. Only those
-- are looked at whose last firing must still be in history: a firing's week is that in which it was due,
-- which a recurring timer, and one that is replayed, no longer say.
WITH looked AS (
    SELECT id, occurrence FROM minoots.timer_states
    WHERE id >= minoots.first_id($1)
        AND least(fire_at, fired_at) >= CASE WHEN recurring OR occurrence > 0 AND status IN ('scheduled', 'paused', 'cancelled') THEN interval '7 days' ELSE '0' END
            + (SELECT minoots.history_begins('firings'))
),
last AS (
    SELECT timer_id, max(occurrence) AS occurrence FROM minoots.firings GROUP BY timer_id
),
bad AS (
    SELECT l.id || ' says ' || l.occurrence || ', has ' || coalesce(last.occurrence, 0) AS what
    FROM looked l
    LEFT JOIN last ON last.timer_id = l.id
    WHERE l.occurrence <> coalesce(last.occurrence, 0)
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
