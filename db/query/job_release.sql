-- Puts jobs back that this replica was to run and has not begun, in the queues given: as if they had
-- been inserted there. One that another has taken over meanwhile is left alone.
UPDATE river.river_job j
SET state = 'available', attempt = 0, attempted_at = NULL, attempted_by = NULL, queue = g.queue, scheduled_at = now()
FROM unnest($2::bigint[], $3::text[]) AS g (id, queue)
WHERE j.id = g.id AND j.state::text = 'running' AND j.attempt = 1 AND j.attempted_by = ARRAY[$1];
