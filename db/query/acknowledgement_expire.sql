-- Ends acknowledgements of all tenants that did not come in time, and gives their jobs as running ones, for
-- the transaction that records the failures, in the queues of their kinds as acknowledgement_take has. One whose job is gone gives no job: an operator has removed it.
--
-- SKIP LOCKED: a row that is locked is being acknowledged, extended, or expired by another; what is left
-- over is looked at again. Nobody waits here, so nobody can deadlock.
WITH due AS MATERIALIZED (
    SELECT token_hash, job_id, attempt, started_at, replica, http_status, response FROM minoots.acknowledgements
    WHERE status = 'waiting' AND expires_at <= now()
    ORDER BY expires_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
expired AS (
    UPDATE minoots.acknowledgements a
    SET status = 'expired'
    FROM due
    WHERE a.token_hash = due.token_hash
),
taken AS (
    DELETE FROM river.river_job j
    USING due
    WHERE j.id = due.job_id AND j.attempt = due.attempt AND j.state::text = 'pending'
    RETURNING nextval('river.river_job_id_seq') AS id, due.job_id AS was, j.args, j.kind, j.queue, j.priority, j.attempt,
        j.max_attempts, j.attempted_by, j.attempted_at, j.errors, j.metadata, j.tags
),
running AS (
    INSERT INTO river.river_job (id, state, args, kind, queue, priority, attempt, max_attempts, attempted_by,
        attempted_at, errors, metadata, tags)
    SELECT id, 'running', args, kind, coalesce(args #>> '{action,kind}', queue), priority, attempt, max_attempts, attempted_by, attempted_at, errors, metadata, tags
    FROM taken
)
SELECT taken.id, due.attempt, due.started_at, now() AS ended_at, due.replica, coalesce(due.http_status, 0) AS http_status,
    coalesce(due.response, '') AS response, taken.args
FROM due
LEFT JOIN taken ON taken.was = due.job_id;
