-- The attempts of one timer's firings in a range of occurrences, in order.
SELECT occurrence, action_id, kind, attempt, status, started_at, finished_at, http_status, error_class,
    error, response, replica
FROM minoots.attempts
WHERE timer_id = $1 AND tenant_id = $2 AND occurrence BETWEEN $3 AND $4
ORDER BY occurrence, finished_at, action_id, attempt;
