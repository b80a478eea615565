-- Parks the job of a send that the receiver has taken on, until it is acknowledged or the time is up. The
-- time begins now: how long the send took is not the agent's. $2 is the tenant.
--
-- The parked job is a new row: what River still writes of the old one, which it does not fence by the
-- attempt, then finds none. A send that has been acknowledged meanwhile, or was parked by a commit whose
-- answer was lost, is not "sending" any more, and nothing happens.
--
-- Locks: the acknowledgement, then its job; as all who take both.
WITH sent AS MATERIALIZED (
    SELECT token_hash, job_id, attempt FROM minoots.acknowledgements
    WHERE token_hash = $1 AND tenant_id = $2 AND status = 'sending'
    FOR UPDATE
),
moved AS (
    DELETE FROM river.river_job j
    USING sent s
    WHERE j.id = s.job_id AND j.attempt = s.attempt AND j.state::text = 'running'
    RETURNING j.args, j.kind, j.queue, j.priority, j.attempt, j.max_attempts, j.attempted_by, j.attempted_at,
        j.errors, j.metadata, j.tags
),
parked AS (
    INSERT INTO river.river_job (state, args, kind, queue, priority, attempt, max_attempts, attempted_by,
        attempted_at, errors, metadata, tags)
    SELECT 'pending', args, kind, queue, priority, attempt, max_attempts, attempted_by, attempted_at, errors, metadata, tags
    FROM moved
    RETURNING id
)
UPDATE minoots.acknowledgements a
SET status = 'waiting', job_id = parked.id, http_status = $3, response = $4,
    expires_at = greatest(a.expires_at, now() + a.timeout_ms * interval '1 millisecond')
FROM parked
WHERE a.token_hash = $1;
