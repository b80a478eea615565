-- Tells the kernels of instants that came to be due soon. One transaction, whatever the number of
-- payloads: it is the commit that takes a lock of the whole cluster.
SELECT pg_notify('minoots_due', payload) FROM unnest($1::text[]) AS payload;
