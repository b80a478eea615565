-- Tells River's workers that a queue has jobs, at the commit of the transaction that inserted them.
-- One statement a transaction, whatever the number of queues.
SELECT pg_notify('river.river_insert', json_build_object('queue', queue)::text) FROM unnest($1::text[]) AS queue;
