-- Timers that stand elsewhere than their last firing: fired is running, and how a firing ended its
-- timer ended, unless it is replayed since, which clears settled_at. A recurring timer's firings do not
-- decide where it stands.
WITH looked AS (
    SELECT s.id, s.status, s.settled_at, f.status AS firing
    FROM minoots.timer_states s
    JOIN minoots.firings f ON f.timer_id = s.id AND f.occurrence = s.occurrence
    WHERE s.id >= minoots.first_id($1) AND NOT s.recurring
),
bad AS (
    SELECT id || ' is ' || status || ', its firing ' || firing AS what FROM looked
    WHERE (status = 'fired') <> (firing = 'running') OR firing IN ('settled', 'failed') AND status <> firing
            AND NOT (status IN ('scheduled', 'paused', 'cancelled') AND settled_at IS NULL)
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
