-- Records a group of outcomes: ends the River jobs, writes the attempts, counts the firings on, settles
-- those whose last action ended, and with them their timers.
--
-- A job that is done is deleted, not marked: this statement then writes about half the WAL
-- (docs/adr/0006-outcomes.md), and keeps River's table as small as what is under way. What it did stands in attempts.
--
-- state is compared as text so that the planner takes the primary key: it expects next to no running
-- jobs, and would read all of them through the index on state.
--
-- The fence is the job: only the attempt that River has running may record, so a zombie, or a second
-- try after a commit whose outcome was unknown, changes nothing and is told so. A failed attempt that
-- will be retried has one writer of the job's state: River for the jobs that it fetched, and this
-- statement, by retry_at, for those that this replica began itself. As in River, a retry that is near
-- is available at once and found by polls, and a later one waits for River's scheduler.
-- A job that is left to River is still running when its outcome is recorded once more, so that one is
-- looked for; ON CONFLICT would cost all the others a second record of WAL.
--
-- Locks: jobs belong to one worker each. Firings can be shared by the jobs of a bundle: they are
-- locked in the order of "progress", which is sorted, so that two groups cannot deadlock.
--
-- "started" counts on past the number of actions: the ones to start now are those from
-- started - ended_now up to started, as far as there are any.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::bigint[], $2::smallint[], $3::boolean[], $4::boolean[], $5::uuid[], $6::timestamptz[], $7::integer[],
        $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::integer[],
        $14::text[], $15::text[], $16::text[], $17::boolean[], $18::timestamptz[]
    ) AS g (
        job_id, attempt, final, ok, timer_id, due_at, occurrence,
        tenant_id, action_id, kind, started_at, finished_at, http_status,
        error_class, error, response, recurring, retry_at
    )
),
done AS (
    DELETE FROM river.river_job j
    USING given g
    WHERE g.final AND j.id = g.job_id AND j.attempt = g.attempt AND j.state::text = 'running'
    RETURNING g.*
),
again AS (
    UPDATE river.river_job j
    SET state = CASE WHEN g.retry_at <= now() + interval '5 seconds' THEN 'available' ELSE 'retryable' END::river.river_job_state,
        scheduled_at = g.retry_at
    FROM given g
    WHERE g.retry_at IS NOT NULL AND j.id = g.job_id AND j.attempt = g.attempt AND j.state::text = 'running'
    RETURNING g.*
),
live AS MATERIALIZED (
    SELECT * FROM done
    UNION ALL
    SELECT * FROM again
    UNION ALL
    SELECT g.* FROM given g
    JOIN river.river_job j ON j.id = g.job_id AND j.attempt = g.attempt AND j.state::text = 'running'
    WHERE NOT g.final AND g.retry_at IS NULL
),
tried AS (
    INSERT INTO minoots.attempts (timer_id, started_at, finished_at, occurrence, http_status, attempt, tenant_id,
        action_id, kind, status, replica, error_class, error, response)
    SELECT timer_id, started_at, finished_at, occurrence, http_status, attempt, tenant_id, action_id, kind,
        CASE WHEN ok THEN 'succeeded' WHEN final THEN 'failed' ELSE 'retrying' END, $19, error_class, error, response
    FROM live
    WHERE final OR retry_at IS NOT NULL OR NOT EXISTS (
        SELECT FROM minoots.attempts a
        WHERE a.timer_id = live.timer_id AND a.occurrence = live.occurrence AND a.action_id = live.action_id
            AND a.attempt = live.attempt AND a.finished_at = live.finished_at
    )
    RETURNING timer_id, occurrence, tenant_id, action_id, attempt, status
),
progress AS MATERIALIZED (
    SELECT timer_id, occurrence, due_at, bool_or(recurring) AS recurring, count(*)::smallint AS ended,
        (count(*) FILTER (WHERE NOT ok))::smallint AS failed,
        min(action_id || ': ' || error) FILTER (WHERE NOT ok) AS reason
    FROM live
    WHERE final
    GROUP BY timer_id, occurrence, due_at
    ORDER BY timer_id, occurrence
),
firings AS (
    UPDATE minoots.firings f
    SET ended = f.ended + p.ended,
        failed = f.failed + p.failed,
        started = f.started + p.ended,
        reason = coalesce(f.reason, p.reason),
        settled_at = CASE WHEN f.ended + p.ended >= f.actions THEN now() END,
        status = CASE
            WHEN f.ended + p.ended < f.actions THEN 'running'
            WHEN f.failed + p.failed > 0 THEN 'failed'
            ELSE 'settled'
        END
    FROM progress p
    WHERE f.timer_id = p.timer_id AND f.occurrence = p.occurrence AND f.due_at = p.due_at AND f.status = 'running'
    RETURNING f.timer_id, f.occurrence, f.tenant_id, f.status, f.reason, f.actions, f.bundle, p.recurring,
        f.started - p.ended AS next_from, f.started AS next_to
),
timers AS (
    UPDATE minoots.timer_states s
    SET status = f.status, settled_at = now(), updated_at = now(), version = s.version + 1,
        failure_reason = CASE WHEN f.status = 'failed' THEN f.reason END
    FROM firings f
    WHERE s.id = f.timer_id AND f.status <> 'running' AND NOT f.recurring AND s.status = 'fired'
),
logged AS (
    INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type, data)
    SELECT timer_id, occurrence, tenant_id, CASE status WHEN 'succeeded' THEN 'action.succeeded' ELSE 'action.failed' END,
        json_build_object('actionId', action_id, 'attempt', attempt, 'final', status <> 'retrying')
    FROM tried
    UNION ALL
    SELECT timer_id, occurrence, tenant_id, 'timer.' || status, NULL FROM firings WHERE status <> 'running'
),
following AS MATERIALIZED (
    SELECT timer_id, occurrence, next_from, least(next_to, actions) AS next_to, bundle
    FROM firings
    WHERE next_from < actions AND status = 'running'
)
SELECT live.job_id, live.attempt, following.next_from, following.next_to, following.bundle
FROM live
LEFT JOIN following ON live.final AND following.timer_id = live.timer_id AND following.occurrence = live.occurrence;
