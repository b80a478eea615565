-- Records a group of outcomes of subscriptions' deliveries: ends or puts back their jobs, and writes the log.
-- Gives the jobs' attempts that counted, fenced as in outcome_record.sql, which see for the rest too.
--
-- What is to be tried again while its subscription is paused waits for that without a job. FOR SHARE: a pause
-- comes before or after, so that it either finds the job or is seen here. Rows are locked by id.
WITH given AS MATERIALIZED (
    SELECT job_id, attempt, final, ok, delivery_id, subscription_id, finished_at, http_status, error_class, error, response, retry_at
    FROM unnest($1::bigint[], $2::smallint[], $3::boolean[], $4::boolean[], $5::uuid[], $6::uuid[], $7::timestamptz[],
        $8::integer[], $9::text[], $10::text[], $11::text[], $12::timestamptz[])
        AS g (job_id, attempt, final, ok, delivery_id, subscription_id, finished_at, http_status, error_class, error, response, retry_at)
),
owner AS MATERIALIZED (
    SELECT s.id, s.status FROM minoots.subscriptions s
    WHERE s.id IN (SELECT subscription_id FROM given)
    ORDER BY s.id
    FOR SHARE
),
judged AS MATERIALIZED (
    SELECT g.job_id, g.attempt, g.delivery_id, g.finished_at, g.http_status, g.error_class, g.error, g.response, g.retry_at,
        CASE WHEN g.ok THEN 'delivered' WHEN g.final OR owner.id IS NULL THEN 'failed'
        WHEN owner.status = 'paused' THEN 'paused' ELSE 'waiting' END AS becomes
    FROM given g
    LEFT JOIN owner ON owner.id = g.subscription_id
),
done AS (
    DELETE FROM river.river_job j
    USING judged g
    WHERE g.becomes <> 'waiting' AND j.id = g.job_id AND j.attempt = g.attempt AND j.state::text = 'running'
    RETURNING g.job_id, g.attempt, g.delivery_id, g.finished_at, g.http_status, g.error_class, g.error, g.response, g.becomes
),
again AS (
    UPDATE river.river_job j
    SET state = CASE WHEN g.retry_at <= now() + interval '5 seconds' THEN 'available' ELSE 'retryable' END::river.river_job_state,
        scheduled_at = g.retry_at
    FROM judged g
    WHERE g.becomes = 'waiting' AND g.retry_at IS NOT NULL AND j.id = g.job_id AND j.attempt = g.attempt AND j.state::text = 'running'
    RETURNING g.job_id, g.attempt, g.delivery_id, g.finished_at, g.http_status, g.error_class, g.error, g.response, g.becomes
),
live AS MATERIALIZED (
    SELECT job_id, attempt, delivery_id, finished_at, http_status, error_class, error, response, becomes FROM done
    UNION ALL
    SELECT job_id, attempt, delivery_id, finished_at, http_status, error_class, error, response, becomes FROM again
    UNION ALL
    SELECT g.job_id, g.attempt, g.delivery_id, g.finished_at, g.http_status, g.error_class, g.error, g.response, g.becomes
    FROM judged g
    JOIN river.river_job j ON j.id = g.job_id AND j.attempt = g.attempt AND j.state::text = 'running'
    WHERE g.becomes = 'waiting' AND g.retry_at IS NULL
),
noted AS (
    UPDATE minoots.subscription_deliveries d
    SET status = live.becomes, attempts = live.attempt, http_status = live.http_status, error_class = live.error_class,
        error = live.error, response = live.response, ended_at = CASE WHEN live.becomes IN ('delivered', 'failed') THEN live.finished_at END
    FROM live
    WHERE d.id = live.delivery_id
)
SELECT job_id, attempt FROM live;
