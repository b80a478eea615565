-- Locks the acknowledgement that a token is for, and tells how it stands. The token is the credential. What
-- the lock has waited for is seen by the statements after this one.
SELECT tenant_id, timer_id, occurrence, action_id, attempt, status, coalesce(ok, false) AS ok, acknowledged_at,
    status = 'waiting' AND expires_at <= clock_timestamp() AS late
FROM minoots.acknowledgements
WHERE token_hash = $1
FOR UPDATE;
