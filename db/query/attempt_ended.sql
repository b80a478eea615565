-- How the actions of some firings ended, for those that compensate. It runs in the transaction that has
-- just recorded the last end, and only if one of the firings has failed and has a compensation.
-- A dead letter that was redriven has ended twice: the last end counts.
SELECT DISTINCT ON (a.timer_id, a.occurrence, a.action_id)
    a.timer_id, a.occurrence, a.action_id, a.kind, a.attempt, a.status = 'succeeded' AS ok, a.http_status, a.error_class, a.error
FROM unnest($1::uuid[], $2::integer[], $3::text[]) AS g (timer_id, occurrence, tenant_id)
JOIN minoots.attempts a ON a.timer_id = g.timer_id AND a.occurrence = g.occurrence AND a.tenant_id = g.tenant_id
WHERE a.status <> 'retrying'
ORDER BY a.timer_id, a.occurrence, a.action_id, a.attempt DESC, a.finished_at DESC;
