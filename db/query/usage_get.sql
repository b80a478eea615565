-- What a tenant has. Each count reads $2 entries of an index at most, so that it costs the same with ten
-- million timers as with ten thousand; one that comes to that is a lower bound. The order
-- is the index's, so that the planner does not read the whole table where it believes that most rows match.
--
-- Fired and settled have no index of their own, since that would be another write for each firing. They are
-- counted among the latest that wait no more and whose time has come. Between these stand those that
-- failed, were paused or cancelled; as many more are looked at, so that the count is right as long as none
-- of these is a lower bound. If there are more still, the oldest are looked at too: "more" says that what
-- is in between has not been seen. That is 50,000 rows at most, and as a rule as many as there are.
WITH others AS MATERIALIZED (
    SELECT
        (SELECT count(*) FROM (SELECT FROM minoots.timer_states WHERE tenant_id = $1 AND held_due_at IS NOT NULL AND status = 'paused'
            ORDER BY fire_at, id LIMIT $2::integer) AS x) AS paused,
        (SELECT count(*) FROM (SELECT FROM minoots.timer_states WHERE tenant_id = $1 AND failure_reason IS NOT NULL AND status = 'failed'
            ORDER BY fire_at, id LIMIT $2) AS x) AS failed,
        (SELECT count(*) FROM (SELECT FROM minoots.timer_states WHERE tenant_id = $1 AND cancelled_at IS NOT NULL AND status = 'cancelled'
            ORDER BY fire_at, id LIMIT $2) AS x) AS cancelled
),
latest AS MATERIALIZED (
    SELECT s.id, s.status FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.due_at IS NULL AND s.fire_at <= now()
    ORDER BY s.fire_at DESC, s.id DESC
    LIMIT $2 + (SELECT paused + failed + cancelled FROM others)
),
looked AS MATERIALIZED (
    SELECT (SELECT count(*) FROM latest) >= $2 + (SELECT paused + failed + cancelled FROM others) AS more
),
seen AS MATERIALIZED (
    SELECT id, status FROM latest
    UNION
    (SELECT s.id, s.status FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.due_at IS NULL
    ORDER BY s.fire_at, s.id
    LIMIT CASE WHEN (SELECT more FROM looked) THEN $2 ELSE 0 END)
)
SELECT
    (SELECT count(*) FROM (SELECT FROM minoots.timer_states WHERE tenant_id = $1 AND due_at IS NOT NULL
        ORDER BY fire_at, id LIMIT $2) AS x) AS scheduled,
    others.paused,
    (SELECT count(*) FROM seen WHERE status = 'fired') AS fired,
    (SELECT count(*) FROM seen WHERE status = 'settled') AS settled,
    others.failed, others.cancelled,
    looked.more,
    (SELECT count(*) FROM (SELECT FROM minoots.timer_states WHERE tenant_id = $1 AND due_at IS NOT NULL
        AND fire_at < now() + interval '1 hour' ORDER BY fire_at, id LIMIT $2) AS x) AS due_next_hour,
    (SELECT count(*) FROM minoots.api_keys WHERE tenant_id = $1 AND revoked_at IS NULL) AS api_keys
FROM others, looked;
