-- Ends a locked acknowledgement as the agent says ($2: did it succeed; $3: its result, for the log), and
-- gives its job as a running one, for the transaction that records the outcome. The job is a new row, so
-- that whoever is still sending, and River with him, finds the old one gone. Without the job nothing
-- happens: the attempt is over. It goes to the queue of its kind: the one that it was in may have been that
-- of a destination that is held, which nobody looks at any more.
WITH taken AS (
    DELETE FROM river.river_job j
    USING minoots.acknowledgements a
    WHERE a.token_hash = $1 AND a.status IN ('sending', 'waiting')
        AND j.id = a.job_id AND j.attempt = a.attempt AND j.state::text IN ('running', 'pending')
    RETURNING nextval('river.river_job_id_seq') AS id, j.args, j.kind, j.queue, j.priority, j.attempt, j.max_attempts,
        j.attempted_by, j.attempted_at, j.errors, j.metadata, j.tags, a.started_at, a.replica, a.http_status,
        a.timer_id, a.occurrence, a.tenant_id, a.action_id
),
running AS (
    INSERT INTO river.river_job (id, state, args, kind, queue, priority, attempt, max_attempts, attempted_by,
        attempted_at, errors, metadata, tags)
    SELECT id, 'running', args, kind, coalesce(args #>> '{action,kind}', queue), priority, attempt, max_attempts, attempted_by, attempted_at, errors, metadata, tags
    FROM taken
),
ended AS (
    UPDATE minoots.acknowledgements a
    SET status = 'acknowledged', ok = $2, acknowledged_at = now(), job_id = taken.id
    FROM taken
    WHERE a.token_hash = $1
),
logged AS (
    INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type, data)
    SELECT timer_id, occurrence, tenant_id, 'action.acknowledged',
        json_build_object('actionId', action_id, 'attempt', attempt, 'ok', $2::boolean, 'result', $3::json)
    FROM taken
)
SELECT id, attempt, started_at, now() AS ended_at, replica, coalesce(http_status, 0) AS http_status, args FROM taken;
