-- Makes deliveries of events, and moves the sender's place in the log in the same statement: so a sender that
-- has lost its lease makes none, and no event is ever passed over, or delivered twice by the next one.
--
-- FOR SHARE: a pause, a change or the end of a subscription comes before or after, never between. Rows are
-- locked by id; whoever changes one locks one only.
WITH moved AS (
    UPDATE minoots.event_readers
    SET cursor = $4, events = events + $5, lease_until = clock_timestamp() + $3::float8 * interval '1 second',
        level_at = CASE WHEN $6::boolean THEN clock_timestamp() ELSE level_at END
    WHERE name = $1 AND holder = $2 AND lease_until > clock_timestamp()
    RETURNING true AS ok
),
given AS MATERIALIZED (
    SELECT id, subscription_id, timer_id, seq, type, event
    FROM unnest($7::uuid[], $8::uuid[], $9::uuid[], $10::bigint[], $11::text[], $12::jsonb[])
        AS g (id, subscription_id, timer_id, seq, type, event)
),
alive AS MATERIALIZED (
    SELECT s.id, s.status
    FROM minoots.subscriptions s, moved
    WHERE s.id IN (SELECT subscription_id FROM given)
    ORDER BY s.id
    FOR SHARE OF s
),
made AS (
    INSERT INTO minoots.subscription_deliveries (id, subscription_id, timer_id, seq, type, event, status)
    SELECT g.id, g.subscription_id, g.timer_id, g.seq, g.type, g.event, CASE alive.status WHEN 'paused' THEN 'paused' ELSE 'waiting' END
    FROM given g
    JOIN alive ON alive.id = g.subscription_id
    ORDER BY g.id
    ON CONFLICT (subscription_id, seq) DO NOTHING
    RETURNING status
)
SELECT EXISTS (SELECT FROM moved) AS moved, (SELECT count(*) FROM made) AS made,
    (SELECT count(*) FROM made WHERE status = 'waiting') AS waiting;
