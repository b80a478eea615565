-- Settings of an audit's transaction. It reads tables whole, which the pool's connections shun; it
-- leaves the server's other processors to those who are in a hurry.
SELECT now() AS at, set_config('statement_timeout', $1, true), set_config('enable_seqscan', 'on', true),
    set_config('work_mem', '64MB', true), set_config('max_parallel_workers_per_gather', '0', true);
