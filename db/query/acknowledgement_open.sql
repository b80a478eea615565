-- Notes that an attempt is about to ask for an acknowledgement, if the attempt is its job's current one.
INSERT INTO minoots.acknowledgements (token_hash, job_id, attempt, tenant_id, timer_id, occurrence, action_id,
    replica, timeout_ms, expires_at, latest_at)
SELECT $1, j.id, j.attempt, $4, $5, $6, $7, $8, $9::bigint, now() + $9::bigint * interval '1 millisecond',
    now() + greatest($9::bigint, $10::bigint) * interval '1 millisecond'
FROM river.river_job j
WHERE j.id = $2 AND j.attempt = $3::smallint AND j.state::text = 'running'
RETURNING expires_at;
