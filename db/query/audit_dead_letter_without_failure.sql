-- Firings that count fewer failures than they have dead letters of their own actions. (Fewer dead letters
-- than failures may be: those of older versions left none.) A firing of whose actions no jobs could be
-- made has ended before the last of them, and counts no more.
WITH looked AS (
    SELECT timer_id, occurrence, count(*) AS dead FROM minoots.dead_letters
    WHERE created_at >= $1 AND status <> 'resolved' AND phase <> 'compensation'
    GROUP BY timer_id, occurrence
),
bad AS (
    SELECT l.timer_id || ' firing ' || l.occurrence || ': ' || l.dead || ' dead letters, failed ' || f.failed AS what
    FROM looked l
    JOIN minoots.firings f ON f.timer_id = l.timer_id AND f.occurrence = l.occurrence
    WHERE f.failed < l.dead AND (f.status = 'running' OR f.ended >= coalesce(f.stopped, f.actions))
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM bad) AS found,
    ARRAY(SELECT what FROM bad ORDER BY what LIMIT $2) AS examples;
