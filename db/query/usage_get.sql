-- What a tenant has. Each count reads $2 entries of an index at most, so that it costs the same with ten
-- million timers as with ten thousand; one that comes to that is a lower bound.
--
-- Settled, and fired, have no index of their own: they are counted among the latest of those that wait no
-- more, which "looked" tells.
WITH latest AS MATERIALIZED (
    SELECT s.status FROM minoots.timer_states s
    WHERE s.tenant_id = $1 AND s.due_at IS NULL
    ORDER BY s.fire_at DESC, s.id DESC
    LIMIT $2::integer
)
SELECT
    (SELECT count(*) FROM (SELECT FROM minoots.timer_states WHERE tenant_id = $1 AND due_at IS NOT NULL LIMIT $2) AS x) AS scheduled,
    (SELECT count(*) FROM (SELECT FROM minoots.timer_states WHERE tenant_id = $1 AND held_due_at IS NOT NULL AND status = 'paused'
        LIMIT $2) AS x) AS paused,
    (SELECT count(*) FROM latest WHERE status = 'fired') AS fired,
    (SELECT count(*) FROM latest WHERE status = 'settled') AS settled,
    (SELECT count(*) FROM (SELECT FROM minoots.timer_states WHERE tenant_id = $1 AND failure_reason IS NOT NULL AND status = 'failed'
        LIMIT $2) AS x) AS failed,
    (SELECT count(*) FROM (SELECT FROM minoots.timer_states WHERE tenant_id = $1 AND cancelled_at IS NOT NULL AND status = 'cancelled'
        LIMIT $2) AS x) AS cancelled,
    (SELECT count(*) FROM latest) AS looked,
    (SELECT count(*) FROM (SELECT FROM minoots.timer_states WHERE tenant_id = $1 AND due_at IS NOT NULL
        AND fire_at < now() + interval '1 hour' LIMIT $2) AS x) AS due_next_hour,
    (SELECT count(*) FROM minoots.api_keys WHERE tenant_id = $1 AND revoked_at IS NULL) AS api_keys;
