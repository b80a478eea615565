-- What became of a transaction whose commit's answer was lost, and the jobs of it that are still
-- running here, in their first attempt.
SELECT pg_xact_status($1::text::xid8), j.id, format('%s_%s_%s', j.args -> 'timer' ->> 'id', j.args ->> 'occurrence', j.args -> 'action' ->> 'id')
FROM (VALUES (1)) one
LEFT JOIN river.river_job j ON j.state = 'running' AND j.attempt = 1 AND j.xmin = $1::text::xid8::xid;
