-- Inserts deliveries as River jobs. Those that this replica runs at once are running from the start,
-- in their first attempt: what River's fetch would make of them, without the fetch.
--
-- RETURNING gives the ids in the order of the jobs: rows are inserted, and their ids drawn, in the
-- order of ORDER BY.
INSERT INTO river.river_job (state, attempt, max_attempts, attempted_at, attempted_by, queue, kind, args)
SELECT CASE WHEN here THEN 'running' ELSE 'available' END::river.river_job_state, here::integer, max_attempts,
    CASE WHEN here THEN now() END, CASE WHEN here THEN ARRAY[$1] END, queue, 'action', args
FROM unnest($2::boolean[], $3::smallint[], $4::text[], $5::jsonb[]) WITH ORDINALITY
    AS g (here, max_attempts, queue, args, ord)
ORDER BY ord
RETURNING id, pg_current_xact_id()::text;
