-- What is being waited for, of a timer's firings from one occurrence to another.
SELECT a.occurrence, a.action_id, a.attempt, a.started_at, a.expires_at, a.heartbeat_at, a.progress
FROM minoots.acknowledgements a
WHERE a.timer_id = $1 AND a.tenant_id = $2 AND a.occurrence BETWEEN $3 AND $4 AND a.status = 'waiting'
ORDER BY a.occurrence, a.started_at;
