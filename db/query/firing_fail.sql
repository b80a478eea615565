-- Fails a running firing for good, and with it its timer, where the jobs of its actions cannot be
-- stored. It runs in the transaction that found out, so it locks nothing that is not locked already.
WITH failed AS (
    UPDATE minoots.firings
    SET status = 'failed', settled_at = now(), reason = $4
    WHERE timer_id = $1 AND occurrence = $2 AND due_at = $3 AND status = 'running'
    RETURNING timer_id, occurrence, tenant_id
),
timers AS (
    UPDATE minoots.timer_states s
    SET status = 'failed', settled_at = now(), updated_at = now(), version = s.version + 1, failure_reason = $4
    FROM failed f
    WHERE s.id = f.timer_id AND s.occurrence = f.occurrence AND s.status = 'fired'
)
INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type)
SELECT timer_id, occurrence, tenant_id, 'timer.failed' FROM failed;
