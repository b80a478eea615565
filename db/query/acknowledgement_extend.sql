-- A heartbeat: gives an agent more time, from now on ($2 in milliseconds; NULL for its timeout), and keeps
-- its word on how far it is. It never takes time away, and gives none past the latest. The token is the
-- credential.
UPDATE minoots.acknowledgements
SET expires_at = greatest(expires_at, least(latest_at, now() + coalesce($2::bigint, timeout_ms) * interval '1 millisecond')),
    heartbeat_at = now(), progress = coalesce($3, progress)
WHERE token_hash = $1 AND (status = 'sending' OR status = 'waiting' AND expires_at > now())
RETURNING timer_id, occurrence, action_id, attempt, expires_at, latest_at;
