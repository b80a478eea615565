-- Tells the kernels of instants that came to be due soon.
SELECT pg_notify('minoots_due', $1);
