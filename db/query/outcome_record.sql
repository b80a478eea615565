-- Records a group of outcomes: ends the River jobs, writes the attempts, counts the firings on, settles
-- those whose last action ended, and with them their timers. What has failed for good and does not
-- escalate becomes a dead letter.
--
-- A job that is done is deleted, not marked: this statement then writes about half the WAL
-- (docs/adr/0006-outcomes.md), and keeps River's table as small as what is under way. What it did stands in attempts.
--
-- Rows are looked up by "= ANY (ARRAY[...])" of one element, which no join but that by index can be made of.
-- By "=", a plan that was made while next to nothing was under way reads a whole index for each outcome,
-- or joins all jobs with all outcomes, and a storm met that plan (docs/adr/0014-where-the-time-goes.md).
--
-- $24 to $27, the first and last due_at and finished_at of the group, spare the plan's start the other
-- partitions. The interval keeps it the start's: were the planner to leave them out, a plan for these values
-- would look cheaper than the general one, and each group was planned anew.
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
-- Locks: jobs belong to one worker each, and so do the dead letters that are redriven. Firings can be
-- shared by the jobs of a bundle: they are locked in the order of "progress", which is sorted, so that
-- two groups cannot deadlock.
--
-- "started" counts on past the number of actions: the ones to start now are those from
-- started - ended_now up to started, as far as there are any. A bundle that stops counts it no further,
-- and ends with those begun so far ("stopped").
--
-- In a firing counts what is one of its actions, or takes over for one (escalates: not yet). A
-- compensation does not, and a dead letter that was redriven has been counted: one that succeeds is
-- taken off the failed ("mended"), and the last of them settles a firing that had failed.
WITH given AS MATERIALIZED (
    SELECT job_id, attempt, final, ok, timer_id, due_at, occurrence,
        tenant_id, action_id, kind, started_at, finished_at, http_status,
        error_class, error, response, recurring, retry_at,
        escalates, phase, stops, redriven
    FROM unnest(
        $1::bigint[], $2::smallint[], $3::boolean[], $4::boolean[], $5::uuid[], $6::timestamptz[], $7::integer[],
        $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::integer[],
        $14::text[], $15::text[], $16::text[], $17::boolean[], $18::timestamptz[],
        $20::text[], $21::text[], $22::boolean[], $23::boolean[]
    ) AS g (
        job_id, attempt, final, ok, timer_id, due_at, occurrence,
        tenant_id, action_id, kind, started_at, finished_at, http_status,
        error_class, error, response, recurring, retry_at,
        escalates, phase, stops, redriven
    )
),
done AS (
    DELETE FROM river.river_job j
    USING given g
    WHERE g.final AND j.id = ANY (ARRAY[g.job_id]) AND j.attempt = g.attempt AND j.state::text = 'running'
    RETURNING g.job_id, g.attempt, g.final, g.ok, g.timer_id, g.due_at, g.occurrence,
        g.tenant_id, g.action_id, g.kind, g.started_at, g.finished_at, g.http_status,
        g.error_class, g.error, g.response, g.recurring, g.retry_at,
        g.escalates, g.phase, g.stops, g.redriven,
        CASE WHEN NOT g.ok AND g.escalates IS NULL THEN j.args END AS delivery
),
again AS (
    UPDATE river.river_job j
    SET state = CASE WHEN g.retry_at <= now() + interval '5 seconds' THEN 'available' ELSE 'retryable' END::river.river_job_state,
        scheduled_at = g.retry_at
    FROM given g
    WHERE g.retry_at IS NOT NULL AND j.id = ANY (ARRAY[g.job_id]) AND j.attempt = g.attempt AND j.state::text = 'running'
    RETURNING g.job_id, g.attempt, g.final, g.ok, g.timer_id, g.due_at, g.occurrence,
        g.tenant_id, g.action_id, g.kind, g.started_at, g.finished_at, g.http_status,
        g.error_class, g.error, g.response, g.recurring, g.retry_at,
        g.escalates, g.phase, g.stops, g.redriven
),
live AS MATERIALIZED (
    SELECT job_id, attempt, final, ok, timer_id, due_at, occurrence,
        tenant_id, action_id, kind, started_at, finished_at, http_status,
        error_class, error, response, recurring, retry_at,
        escalates, phase, stops, redriven, delivery
    FROM done
    UNION ALL
    SELECT job_id, attempt, final, ok, timer_id, due_at, occurrence,
        tenant_id, action_id, kind, started_at, finished_at, http_status,
        error_class, error, response, recurring, retry_at,
        escalates, phase, stops, redriven, NULL
    FROM again
    UNION ALL
    SELECT g.job_id, g.attempt, g.final, g.ok, g.timer_id, g.due_at, g.occurrence,
        g.tenant_id, g.action_id, g.kind, g.started_at, g.finished_at, g.http_status,
        g.error_class, g.error, g.response, g.recurring, g.retry_at,
        g.escalates, g.phase, g.stops, g.redriven, NULL
    FROM given g
    JOIN river.river_job j ON j.id = ANY (ARRAY[g.job_id]) AND j.attempt = g.attempt AND j.state::text = 'running'
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
            AND a.finished_at BETWEEN $26::timestamptz + interval '0' AND $27::timestamptz + interval '0'
    )
    RETURNING timer_id, occurrence, tenant_id, action_id, attempt, status
),
dead AS (
    INSERT INTO minoots.dead_letters AS d (timer_id, due_at, occurrence, http_status, attempts, tenant_id, action_id,
        kind, phase, error_class, error, delivery)
    SELECT timer_id, due_at, occurrence, http_status, attempt, tenant_id, action_id, kind, phase, error_class, error, delivery
    FROM live
    WHERE final AND NOT ok AND escalates IS NULL
    ON CONFLICT (timer_id, occurrence, action_id) DO UPDATE
    SET status = 'dead', attempts = excluded.attempts, http_status = excluded.http_status,
        error_class = excluded.error_class, error = excluded.error
    RETURNING id, timer_id, occurrence, tenant_id, action_id, attempts
),
resolved AS (
    UPDATE minoots.dead_letters d
    SET status = 'resolved', attempts = live.attempt, closed_at = now()
    FROM live
    WHERE live.final AND live.ok AND live.redriven AND d.timer_id = ANY (ARRAY[live.timer_id]) AND d.occurrence = live.occurrence
        AND d.action_id = live.action_id
),
progress AS MATERIALIZED (
    SELECT timer_id, occurrence, due_at, bool_or(recurring) AS recurring,
        (count(*) FILTER (WHERE NOT redriven))::smallint AS ended,
        (count(*) FILTER (WHERE NOT redriven AND NOT ok))::smallint AS failed,
        (count(*) FILTER (WHERE redriven AND ok))::smallint AS mended,
        bool_or(stops AND NOT redriven AND NOT ok) AS stops,
        min(action_id || ': ' || error) FILTER (WHERE NOT ok) AS reason
    FROM live
    WHERE final AND escalates IS NULL AND phase <> 'compensation' AND (ok OR NOT redriven)
    GROUP BY timer_id, occurrence, due_at
    ORDER BY timer_id, occurrence
),
firings AS (
    UPDATE minoots.firings f
    SET (ended, failed, started, stopped, status, settled_at, reason) = (
        SELECT n.ended, n.failed, f.started + CASE WHEN n.stopped IS NULL THEN p.ended ELSE 0 END, n.stopped, b.status,
            CASE WHEN b.status = f.status THEN f.settled_at ELSE now() END,
            CASE WHEN b.status <> 'settled' THEN coalesce(f.reason, p.reason) END
        FROM (SELECT f.ended + p.ended AS ended, greatest(f.failed + p.failed - p.mended, 0) AS failed,
            CASE WHEN f.stopped IS NULL AND p.stops THEN least(f.started, f.actions) ELSE f.stopped END AS stopped) n
        CROSS JOIN LATERAL (SELECT CASE
            WHEN n.ended < coalesce(n.stopped, f.actions) THEN f.status
            WHEN n.failed > 0 OR n.stopped < f.actions THEN 'failed'
            ELSE 'settled'
        END AS status) b
    )
    FROM progress p
    WHERE f.timer_id = ANY (ARRAY[p.timer_id]) AND f.occurrence = p.occurrence AND f.due_at = p.due_at
        AND f.due_at BETWEEN $24::timestamptz + interval '0' AND $25::timestamptz + interval '0'
        AND (f.status = 'running' OR f.status = 'failed' AND p.mended > 0)
    RETURNING f.timer_id, f.occurrence, f.tenant_id, f.status, f.reason, f.actions, f.bundle, p.recurring,
        f.status <> 'running' AND f.settled_at = now() AS over,
        f.status = 'running' AND f.stopped IS NULL AND f.started - p.ended < f.actions AS goes_on,
        f.started - p.ended AS next_from, least(f.started, f.actions) AS next_to
),
timers AS (
    UPDATE minoots.timer_states s
    SET status = f.status, settled_at = now(), updated_at = now(), version = s.version + 1,
        failure_reason = CASE WHEN f.status = 'failed' THEN f.reason END
    FROM firings f
    WHERE s.id = ANY (ARRAY[f.timer_id]) AND f.over AND NOT f.recurring AND s.occurrence = f.occurrence
        AND (s.status = 'fired' OR s.status = 'failed' AND f.status = 'settled')
),
logged AS (
    INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type, data)
    SELECT t.timer_id, t.occurrence, t.tenant_id, CASE t.status WHEN 'succeeded' THEN 'action.succeeded' ELSE 'action.failed' END,
        CASE WHEN e.escalates IS NULL
            THEN json_build_object('actionId', t.action_id, 'attempt', t.attempt, 'final', t.status <> 'retrying')
            ELSE json_build_object('actionId', t.action_id, 'attempt', t.attempt, 'final', true, 'escalatedTo', e.escalates)
        END
    FROM tried t
    LEFT JOIN (SELECT timer_id, occurrence, action_id, escalates FROM live WHERE escalates IS NOT NULL) e
        ON e.timer_id = t.timer_id AND e.occurrence = t.occurrence AND e.action_id = t.action_id
    UNION ALL
    SELECT timer_id, occurrence, tenant_id, 'action.dead_lettered',
        json_build_object('actionId', action_id, 'attempt', attempts, 'deadLetterId', id)
    FROM dead
    UNION ALL
    SELECT timer_id, occurrence, tenant_id, 'timer.' || status, NULL FROM firings WHERE over
),
following AS MATERIALIZED (
    SELECT timer_id, occurrence, CASE WHEN goes_on THEN next_from END AS next_from, next_to,
        CASE WHEN goes_on THEN bundle END AS bundle, over AND status = 'failed' AS failed
    FROM firings
    WHERE goes_on OR over AND status = 'failed'
)
SELECT live.job_id, live.attempt, following.next_from, following.next_to, following.bundle,
    coalesce(following.failed, false) AS failed
FROM live
LEFT JOIN following ON live.final AND following.timer_id = live.timer_id AND following.occurrence = live.occurrence;
